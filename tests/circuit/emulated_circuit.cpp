// The kernels of the CUDA engine, each behind its name.

static const Arguments* given;
#define KERNEL(name) \
    if (!std::strcmp(kernel, #name)) return run([] { name(*given); }, grid, block, shared) ? 0 : 2;

extern "C" int launch(const char* kernel, int grid, int block, int shared, const Arguments* arguments) {
    given = arguments;
    KERNEL(prepare)
    KERNEL(forward)
    KERNEL(backward)
    KERNEL(finish)
    return 1;
}
