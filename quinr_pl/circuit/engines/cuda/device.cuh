// What the other files expect of the compiler: here NVRTC.

#define INLINE __device__ __forceinline__
#define PRAGMA(text) _Pragma(#text)
#define UNROLL PRAGMA(unroll)
#define UNROLL_BY(count) PRAGMA(unroll count)
#define SHARED(name) extern __shared__ __align__(16) char name[]
