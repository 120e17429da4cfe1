// The mark of functions that run on the CPU and on the GPU.
#pragma once

#ifdef __CUDACC__
#define GEODET_HD __host__ __device__
#else
#define GEODET_HD
#endif

// Vector code chosen at load time, so that one binary runs on every x86-64 and uses AVX2 where it
// is. Off under the sanitizers, whose runtime is not up yet when the choice is made. No FMA: the
// clones must round alike.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__CUDACC__) && !defined(__SANITIZE_ADDRESS__)
#define GEODET_CLONES __attribute__((target_clones("default", "avx2")))
#else
#define GEODET_CLONES
#endif

// For the body of a cloned function that serves several types: inlined into each clone, or it would
// be compiled once, for the oldest processor.
#if defined(__GNUC__) && !defined(__CUDACC__)
#define GEODET_INLINE inline __attribute__((always_inline))
#else
#define GEODET_INLINE inline
#endif
