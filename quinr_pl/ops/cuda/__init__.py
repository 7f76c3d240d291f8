"""Operations of latent fits in CUDA C++, all of which a graph can capture."""
