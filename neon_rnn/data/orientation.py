"""The EXIF orientation of a picture, and the steps that turn it upright."""

from PIL import Image

_EXIF_ORIENTATION = 0x0112
#: The steps that turn a picture of each EXIF orientation upright. Pillow 4 has no TRANSVERSE (7),
#: so two steps replace it.
_TRANSPOSITIONS = {
    orientation: [getattr(Image, name) for name in names]
    for orientation, names in {
        2: ['FLIP_LEFT_RIGHT'],
        3: ['ROTATE_180'],
        4: ['FLIP_TOP_BOTTOM'],
        5: ['TRANSPOSE'],
        6: ['ROTATE_270'],
        7: ['TRANSPOSE', 'ROTATE_180'],
        8: ['ROTATE_90'],
    }.items()
}


def upright(image):
    """Return the arguments of `Image.transpose` that turn a loaded image upright, in order."""
    return _TRANSPOSITIONS.get(orientation(image), [])


def orientation(image):
    """Return the EXIF orientation of a loaded image, 1 to 8; damaged metadata counts as upright."""
    try:
        if hasattr(image, 'getexif'):
            exif = image.getexif()
        else:  # Pillow 4, which does not turn TIFF files
            exif = image.tag_v2 if hasattr(image, 'tag_v2') else image._getexif()
        return int(exif.get(_EXIF_ORIENTATION, 1))
    except Exception:  # metadata of any shape must not cost a sound photograph
        return 1
