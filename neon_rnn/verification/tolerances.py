"""The kinds of results that are compared with neon's, and how far each may deviate.

A limit is the largest deviation from neon's cpu backend that counts as the same arithmetic. All
limits but one are relative: the deviation of a cost is divided by the cost, the largest deviation
in an array by the largest value in it. Probabilities are compared absolutely.
"""

#: In the order in which `verify` prints them; `neon_rnn.verification.compare` says what each is.
KINDS = (
    'initial',
    'cost',
    'later cost',
    'gradient',
    'step 1',
    'last step',
    'last offset',
    'probability',
    'imposed cost',
)
#: Endings of the names of parameters that start at zero and stay small. After the last minibatch,
#: their deviations are of the kind ``last offset``.
OFFSETS = ('.beta', '.weight_bias')

#: In float64. Rounding of the arithmetic is far below these limits; weights are read, and
#: probabilities predicted, in float32.
EXACT = {
    'initial': 1e-7,
    'cost': 1e-9,
    'later cost': 1e-9,
    'gradient': 1e-7,
    'step 1': 1e-7,
    'last step': 1e-7,
    'last offset': 1e-7,
    'probability': 1e-6,
}

#: The same for one recurrent layer.
EXACT_CELLS = dict(EXACT, **{'cost': 1e-12, 'later cost': 1e-12})

#: In float32, for one layer.
ROUNDED = {
    'initial': 1e-7,
    'cost': 1e-5,
    'later cost': 1e-5,
    'gradient': 2e-5,
    'step 1': 2e-5,
    'last step': 2e-5,
    'last offset': 2e-5,
    'probability': 1e-4,
}

#: In float32, for the whole network. At the kinks of its rectifiers and the ties of its maxima, the
#: network amplifies rounding from one minibatch to the next. Behind each limit stand the deviations
#: of the torch engine: with AVX2 and AVX-512 kernels, then with SSE4.1 kernels. The latter take a
#: rectifier across its kink in the first minibatch.
AMPLIFIED = {
    'initial': 1e-7,  # 0, 0
    'cost': 1e-5,  # 4e-7, 2e-6
    'later cost': 5e-3,  # 3e-4, 4e-4
    'gradient': 5e-2,  # 1e-5, 2e-2
    'step 1': 5e-2,  # 1e-5, 2e-2
    'last step': 1e-2,  # 9e-4, 3e-3
    'last offset': 2e-1,  # 4e-2, 7e-2
    'probability': 2e-2,  # 2e-3, 4e-3
}

#: In float32, for each cost of the whole network with neon's close decisions imposed. Behind it
#: stand 4e-7 (fused) and 5e-7 (layer by layer).
IMPOSED = 5e-6

#: As `AMPLIFIED`, for neon's mkl and gpu backends. They also choose otherwise among equal maxima,
#: so gradients differ from the first minibatch on. Behind each limit stands the deviation of mkl,
#: with AVX2 and SSE2 kernels, on one core and two.
OTHER_MAXIMA = {
    'initial': 1e-7,  # 0
    'cost': 1e-5,  # 1e-6
    'later cost': 1e-2,  # 2e-3
    'gradient': 1e-1,  # 3e-2
    'step 1': 1e-1,  # 2e-2
    'last step': 2e-2,  # 3e-3
    'last offset': 5e-1,  # 1e-1
    'probability': 2e-2,  # 3e-3
}

#: Results that are not compared on those backends: the two biases before the softmax after the last
#: minibatch. They are a thousandth, what remains of gradients that cancel. The biases of mkl differ
#: from those of cpu by 1.4 times their size.
UNDECIDED = ('last step/21.weight_bias',)
