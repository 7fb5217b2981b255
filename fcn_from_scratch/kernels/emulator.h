// CUDA's keywords for g++: enough of them to compile the package's .cu files unchanged and run them on the CPU.
//
// A launch is a loop over blocks and, inside it, over threads, all on one thread of the CPU. Where a kernel has a
// barrier, each CUDA thread runs on its own stack, so that __syncthreads can leave it and come back (emulator.cpp).
// Shared memory is filled with 0xFF (NaN, or -1) before each block, so that reading an unwritten place shows.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__ static
#define __device__ static inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("emu_shared")))

struct EmuIndex {
  unsigned x, y, z;
};
extern "C" {
extern EmuIndex threadIdx, blockIdx, blockDim, gridDim;
void emu_barrier(int line);
int emu_launch(unsigned blocks, unsigned threads, unsigned first, unsigned stop, int order, int barriers,
               void (*body)(void*), void* arguments, void* shared, size_t shared_bytes);
extern char __start_emu_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_emu_shared[] __attribute__((weak, visibility("hidden")));
}
#define __syncthreads() emu_barrier(__LINE__)

inline unsigned __float_as_uint(float x) {
  unsigned bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
// A tensor core's product of 16 x 8 by 8 x 8 numbers, as mma.m16n8k8 deals them out to the 32 threads of a warp. All
// threads of the block must come here together. Of each factor only the bits of TF32 are read.
inline void emu_mma_m16n8k8(float* d, const float* a, const float* b) {
  static float left[32][16][8], right[32][8][8];
  const unsigned warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, e = threadIdx.x % 4;
  auto tf32 = [](float x) { return __uint_as_float(__float_as_uint(x) & 0xffffe000u); };
  for (int h = 0; h < 4; ++h) left[warp][g + h % 2 * 8][e + h / 2 * 4] = tf32(a[h]);
  for (int h = 0; h < 2; ++h) right[warp][e + h * 4][g] = tf32(b[h]);
  emu_barrier(__LINE__);
  for (int h = 0; h < 4; ++h) {
    double sum = d[h];
    for (int k = 0; k < 8; ++k) sum += (double)left[warp][g + h / 2 * 8][k] * right[warp][k][2 * e + h % 2];
    d[h] = (float)sum;
  }
  emu_barrier(__LINE__);
}

using std::exp;
using std::log;
using std::pow;

inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
// It takes floating-point numbers too, though the package's kernels add those in a fixed order: lesson 16 shows why.
template <class T>
inline T atomicAdd(T* place, T value) {
  T before, after;
  __atomic_load(place, &before, __ATOMIC_RELAXED);
  do
    after = before + value;
  while (!__atomic_compare_exchange(place, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}
inline int atomicMax(int* place, int value) {
  int before = __atomic_load_n(place, __ATOMIC_RELAXED);
  while (value > before && !__atomic_compare_exchange_n(place, &before, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
  return before;
}

// The parameters of a kernel, read from its type: the C type of each, whether it is a pointer, and whether it points to
// const. Python compares calls with them.
template <class T>
constexpr const char* emu_word() {
  using U = std::remove_cv_t<T>;
  if (std::is_same_v<U, float>) return "float";
  if (std::is_same_v<U, double>) return "double";
  if (std::is_same_v<U, int>) return "int";
  if (std::is_same_v<U, unsigned char>) return "unsigned char";
  if (std::is_same_v<U, unsigned>) return "unsigned";
  if (std::is_same_v<U, long long>) return "long long";
  if (std::is_same_v<U, unsigned long long>) return "unsigned long long";
  if (std::is_same_v<U, bool>) return "bool";
  return "?";
}
struct EmuParameter {
  const char* word;
  bool pointer, constant;
};
template <class A>
constexpr EmuParameter emu_parameter() {
  using P = std::remove_pointer_t<A>;
  return {emu_word<P>(), std::is_pointer_v<A>, std::is_pointer_v<A> && std::is_const_v<P>};
}

// As in cuLaunchKernel, `arguments` holds a pointer to each argument.
template <class... A, size_t... I>
void emu_call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*(std::remove_cv_t<A>*)arguments[I]...);
}
template <auto kernel>
struct EmuKernel;
template <class... A, void (*kernel)(A...)>
struct EmuKernel<kernel> {
  static void body(void* arguments) { emu_call(kernel, (void**)arguments, std::index_sequence_for<A...>{}); }
  static inline const EmuParameter parameters[] = {emu_parameter<A>()...};
  static constexpr int count = sizeof...(A);
};

struct EmuEntry {
  const char* name;
  void (*body)(void*);
  const EmuParameter* parameters;
  int count;
};
#define EMU_ENTRY(name) {#name, EmuKernel<name>::body, EmuKernel<name>::parameters, EmuKernel<name>::count}
