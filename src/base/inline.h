// What is inlined at every optimization level: kernels are built from steps of a few instructions,
// and a call would put their vectors into memory.
#pragma once

#define QUANT_INLINE inline __attribute__((always_inline))
