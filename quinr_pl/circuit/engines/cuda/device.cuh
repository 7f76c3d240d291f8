// What the other files expect of the compiler: here NVRTC.

#define INLINE __device__ __forceinline__
#define PRAGMA(text) _Pragma(#text)
#define UNROLL PRAGMA(unroll)
#define UNROLL_BY(count) PRAGMA(unroll count)

// A mark in the machine code, by which benchmarks/cuda_code.py counts instructions; else nothing.
struct Place { enum { ITERATION, ANGLE, FOLD, LAYER, EMBEDDING, PLAIN, UNFOLD }; };
#ifdef PLACES
#define AT(place) asm volatile("pmevent %0;" ::"n"(int(Place::place)))
#else
#define AT(place)
#endif
