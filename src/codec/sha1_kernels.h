#pragma once

#include <cstddef>
#include <cstdint>

// SHA-1 of N streams in N lanes of vector registers. `words` is five rows of N, `data` has N
// pointers, and `blocks` blocks of 64 bytes are taken from each.
//
// A kernel is compiled for a CPU that may not be this one, so whoever calls it has asked the CPU
// first. The kernels' files include no header that has inline functions with linkage: the linker
// keeps one copy of such a function for the whole program, and it could be the one made for the
// other CPU.
namespace pgrevive::codec {

using Sha1LaneKernel = void (*)(std::uint32_t* words, const std::byte* const* data,
                                std::size_t blocks);

#if defined(__x86_64__)
constexpr int kSha1Avx2Width = 8;
void sha1_blocks_avx2(std::uint32_t* words, const std::byte* const* data, std::size_t blocks);
constexpr int kSha1Avx512Width = 16;
void sha1_blocks_avx512(std::uint32_t* words, const std::byte* const* data, std::size_t blocks);
#endif

}  // namespace pgrevive::codec
