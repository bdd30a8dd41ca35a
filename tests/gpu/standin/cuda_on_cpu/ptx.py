"""Inline assembly of kernels: PTX, the assembly language of NVIDIA's GPUs, translated to C++.

Only the instructions of `INSTRUCTIONS` are known; any other is refused by name.
"""

import re

from cuda_on_cpu import NotSupported

#: Letter of a constraint -> member of the register, and what its value is cast to.
CONSTRAINTS = {
    'r': ('u', 'uint32_t'),
    'h': ('h', 'uint16_t'),
    'f': ('f', 'float'),
    'l': ('d', 'uint64_t'),
}
#: PTX type -> member of the register.
TYPES = {'u32': 'u', 's32': 's', 'b32': 'u', 'f32': 'f', 'b16': 'h', 'u64': 'd', 'b64': 'd'}
RANGES = {
    's32': ('INT32_MIN', 'INT32_MAX'),
    'u32': ('0', 'UINT32_MAX'),
    's16': ('INT16_MIN', 'INT16_MAX'),
    'u16': ('0', 'UINT16_MAX'),
    's8': ('INT8_MIN', 'INT8_MAX'),
    'u8': ('0', 'UINT8_MAX'),
}

#: Opcode -> C++; {0} is the destination, {1}... the operands, each with the type beside it.
INSTRUCTIONS = {
    'cvt.rn.f32.u32': ('f32 u32', '{0} = (float){1};'),
    'mul.f32': ('f32 f32 f32', '{0} = {1} * {2};'),
    'and.b32': ('b32 b32 b32', '{0} = {1} & {2};'),
    'abs.s32': ('u32 s32', '{0} = {1} < 0 ? 0u - (uint32_t){1} : (uint32_t){1};'),
    'max.s32': ('s32 s32 s32', '{0} = {1} > {2} ? {1} : {2};'),
    'min.s32': ('s32 s32 s32', '{0} = {1} < {2} ? {1} : {2};'),
    'testp.finite.f32': ('pred f32', '{0} = isfinite({1});'),
    'selp.f32': ('f32 f32 f32 pred', '{0} = {3} ? {1} : {2};'),
    'selp.u32': ('u32 u32 u32 pred', '{0} = {3} ? {1} : {2};'),
    'setp.ne.s32': ('pred s32 s32', '{0} = {1} != {2};'),
    'mul.wide.u32': ('u64 u32 u32', '{0} = (uint64_t){1} * {2};'),
    'shr.u32': ('u32 u32 u32', '{0} = {2} > 31 ? 0 : {1} >> {2};'),
}
for _type in RANGES:
    INSTRUCTIONS['cvt.rni.{}.f32'.format(_type)] = (
        ('h16' if _type.endswith('16') else 's32') + ' f32',
        '{{0}} = cuda_on_cpu::round_within({{1}}, {}, {});'.format(*RANGES[_type]),
    )

_ASM = re.compile(r'\basm\s*(?:volatile\s*)?\(')
_STRING = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_OPERAND = re.compile(r'\s*"([=+]?)([a-z])"\s*\(([^()]*)\)\s*,?')
_HEX_FLOAT = re.compile(r'0[fF]([0-9a-fA-F]{8})$')


def translate(source):
    """Replace every ``asm(...)`` of a CUDA C source by a C++ block.

    Raises
    ------
    NotSupported
        An instruction or the form of a statement is not known.
    """
    parts, position = [], 0
    for match in _ASM.finditer(source):
        parts.append(source[position : match.start()])
        block, position = _statement(source, match.end())
        parts.append(block)
    return ''.join(parts) + source[position:]


def _statement(source, position):
    """Translate the statement whose strings begin at `position`; return C++ and its end."""
    text = ''
    match = _STRING.match(source, position)
    while match:
        text += match.group(1).replace('\\n', '\n').replace('\\t', '\t')
        position = match.end()
        match = _STRING.match(source, position)
    operands = []
    for _ in range(2):  # outputs, inputs
        match = re.compile(r'\s*:').match(source, position)
        if not match:
            break
        position = match.end()
        match = _OPERAND.match(source, position)
        while match:
            operands.append(match.groups())
            position = match.end()
            match = _OPERAND.match(source, position)
    match = re.compile(r'\s*\)').match(source, position)
    if not match:
        raise NotSupported(
            'the assembly statement {!r}'.format(text + source[position : position + 60])
        )
    return _block(text, operands), match.end()


def _block(text, operands):
    lines = []
    for number, (direction, letter, expression) in enumerate(operands):
        if letter not in CONSTRAINTS:
            raise NotSupported('the constraint "{}" of an assembly statement'.format(letter))
        member, kind = CONSTRAINTS[letter]
        lines.append('cuda_on_cpu::Register arg_{} = {{}};'.format(number))
        if direction != '=':
            lines.append('arg_{}.{} = ({})({});'.format(number, member, kind, expression))
    for statement in text.strip().strip('{}').split(';'):
        statement = statement.strip()
        if statement:
            lines.append(_instruction(statement))
    for number, (direction, letter, expression) in enumerate(operands):
        if direction:
            lines.append('{} = arg_{}.{};'.format(expression, number, CONSTRAINTS[letter][0]))
    return '{ ' + ' '.join(lines) + ' }'


def _instruction(statement):
    opcode, _, rest = statement.partition(' ')
    rest = rest.strip()
    if opcode == '.reg':
        names = rest.partition(' ')[2].split(',')
        return ' '.join(
            'cuda_on_cpu::Register reg_{} = {{}};'.format(name.strip()) for name in names
        )
    if opcode == 'vmad.s32.u32.u32':
        return _multiply_halves(statement, rest)
    if opcode == 'mov.b64' and rest.startswith('{'):
        low, high, whole = (part.strip(' {}') for part in rest.split(','))
        return '{0} = (uint32_t){2}; {1} = (uint32_t)({2} >> 32);'.format(
            _operand(low, 'u32'), _operand(high, 'u32'), _operand(whole, 'b64')
        )
    if opcode not in INSTRUCTIONS:
        raise NotSupported('the PTX instruction {!r}'.format(statement))
    types, form = INSTRUCTIONS[opcode]
    operands = [part.strip() for part in rest.split(',')]
    if len(operands) != len(types.split()):
        raise NotSupported('the PTX instruction {!r}'.format(statement))
    return form.format(*(_operand(name, kind) for name, kind in zip(operands, types.split())))


def _multiply_halves(statement, rest):
    match = re.match(r'(%\d), *(-?)(%\d)\.h0, *(%\d)\.h0, *(?:(-?)(%\d)|0)$', rest)
    if not match:
        raise NotSupported('the PTX instruction {!r}'.format(statement))
    out, minus_product, a, b, minus_c, c = match.groups()
    return '{} = cuda_on_cpu::multiply_halves({}, {}, {}, {}, {});'.format(
        _operand(out, 's32'),
        _operand(a, 'u32'),
        _operand(b, 'u32'),
        'true' if minus_product else 'false',
        _operand(c, 'u32') if c else '0u',
        'true' if minus_c else 'false',
    )


def _operand(name, kind):
    member = {'pred': 'p', 'h16': 'h'}.get(kind) or TYPES[kind]
    literal = _HEX_FLOAT.match(name)
    if literal:
        return 'cuda_on_cpu::bits_as_float(0x{}u)'.format(literal.group(1))
    if re.match(r'-?(0x)?[0-9a-fA-F]+$', name) and name[0] in '-0123456789':
        return name
    if name.startswith('%'):
        return 'arg_{}.{}'.format(int(name[1:]), member)
    return 'reg_{}.{}'.format(name, member)
