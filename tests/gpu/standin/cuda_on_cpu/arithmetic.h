// Integers, shifts and the registers of the GPUs' assembly language.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

namespace cuda_on_cpu {

// The amount of a shift. On the GPU one by the width of the type or more shifts everything out; in
// C++ it is undefined, and on this processor it shifts by the remainder. Every shift of a kernel is
// compiled with an Amount on its right.
struct Amount {
    unsigned bits;
    template <class T>
    explicit Amount(T value) : bits((unsigned)value) {}
    template <class T>
    Amount operator+(T more) const {
        return Amount(bits + (unsigned)more);
    }
    template <class T>
    Amount operator-(T less) const {
        return Amount(bits - (unsigned)less);
    }
    template <class T>
    Amount operator*(T factor) const {
        return Amount(bits * (unsigned)factor);
    }
};
#define CUDA_ON_CPU_SHIFTS(T, U, width)                                                       \
    inline T operator<<(T value, Amount by) {                                                 \
        return by.bits < width ? (T)((U)value << by.bits) : 0;                                \
    }                                                                                         \
    inline T operator>>(T value, Amount by) {                                                 \
        return value >> (by.bits < width ? by.bits : width - 1) >> (by.bits < width ? 0 : 1); \
    }                                                                                         \
    inline T& operator<<=(T& value, Amount by) { return value = value << by; }                \
    inline T& operator>>=(T& value, Amount by) { return value = value >> by; }
CUDA_ON_CPU_SHIFTS(int, unsigned, 32)
CUDA_ON_CPU_SHIFTS(unsigned, unsigned, 32)
CUDA_ON_CPU_SHIFTS(long, unsigned long, 64)
CUDA_ON_CPU_SHIFTS(unsigned long, unsigned long, 64)
CUDA_ON_CPU_SHIFTS(long long, unsigned long long, 64)
CUDA_ON_CPU_SHIFTS(unsigned long long, unsigned long long, 64)

// A register of PTX, the assembly language of the GPUs.
union Register {
    uint16_t h;
    uint32_t u;
    int32_t s;
    float f;
    uint64_t d;
    bool p;
};

inline float bits_as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

// Round to the nearest even integer, and to the ends of a type's range beyond it; NaN becomes 0.
inline int64_t round_within(float value, int64_t low, int64_t high) {
    if (value != value) return 0;
    double rounded = rint((double)value);
    return rounded <= low ? low : rounded >= high ? high : (int64_t)rounded;
}

// A sum or difference of the product of the lower halves of two registers and a third.
inline int32_t multiply_halves(uint32_t a, uint32_t b, bool minus_product, uint32_t c,
                               bool minus_c) {
    uint32_t product = (a & 0xffff) * (b & 0xffff);
    return (int32_t)((minus_product ? 0u - product : product) + (minus_c ? 0u - c : c));
}

}  // namespace cuda_on_cpu
