"""Different words for the two classes, so that one data set can be compared with another."""

#: Names of the classes with the indices 0 and 1, in any case.
FEMALE = frozenset(['female', 'females', 'woman', 'women', 'f'])
MALE = frozenset(['male', 'males', 'man', 'men', 'm'])


def positions(expected, found):
    """Find each of the expected classes among other names.

    Parameters
    ----------
    expected, found : sequence of str
        The names of the classes, each in the order of its indices.

    Returns
    -------
    list of int or None
        For each class of `found`, the index of the same class in `expected`; None if they are other
        classes. Names are the same in any case, and as different words for female or male.
    """
    meanings = [_meaning(name) for name in expected]
    others = [_meaning(name) for name in found]
    if len(set(meanings)) != len(meanings) or sorted(meanings) != sorted(others):
        # Names that differ in nothing but their case, or other classes.
        return list(range(len(found))) if list(expected) == list(found) else None
    return [meanings.index(meaning) for meaning in others]


def _meaning(name):
    name = name.strip().lower()
    return 'female' if name in FEMALE else 'male' if name in MALE else name
