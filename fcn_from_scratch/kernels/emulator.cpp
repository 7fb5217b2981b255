// What every emulated kernel shares: the loop over blocks and threads, stacks for threads that wait at a barrier, and
// handlers for the compiler's checks for undefined behaviour (-fsanitize=undefined), in place of libubsan. A failed
// check ends the launch, and Python raises its message with the line of the .cu file.
#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(EMU_TSAN)
#include <sanitizer/tsan_interface.h>
#define TSAN(...) __VA_ARGS__
#else
#define TSAN(...)
#endif

struct EmuIndex {
  unsigned x, y, z;
};
extern "C" {
EmuIndex threadIdx, blockIdx, blockDim, gridDim;
}

static char message[256];
static jmp_buf way_out;  // where a launch jumps after undefined behaviour: going on would crash the process

extern "C" const char* emu_message() { return message; }

// --- stacks -----------------------------------------------------------------------------------------------------
// switch_to(from, to) saves the registers that a call must preserve on the running stack and goes on with another one.

#if defined(__x86_64__)
struct Stack {
  void* pointer;
};
extern "C" void emu_switch(void** save, void* load);
asm(R"(
.text
.type emu_switch, @function
emu_switch:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret
.size emu_switch, .-emu_switch
)");
static void switch_to(Stack& from, Stack& to) { emu_switch(&from.pointer, to.pointer); }
static void prepare(Stack& stack, char* memory, size_t bytes, void (*entry)()) {
  void** top = (void**)((uintptr_t)(memory + bytes) & ~(uintptr_t)15);
  *--top = nullptr;  // entry's return address: never used, but it aligns the stack as a call does
  *--top = (void*)entry;
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  stack.pointer = top;
}
#else
struct Stack {
  ucontext_t context;
};
static void switch_to(Stack& from, Stack& to) { swapcontext(&from.context, &to.context); }
static void prepare(Stack& stack, char* memory, size_t bytes, void (*entry)()) {
  getcontext(&stack.context);
  stack.context.uc_stack.ss_sp = memory;
  stack.context.uc_stack.ss_size = bytes;
  stack.context.uc_link = nullptr;
  makecontext(&stack.context, entry, 0);
}
#endif

// --- blocks -----------------------------------------------------------------------------------------------------

struct Thread {
  Stack stack;
  bool done;
  int line;  // the line of the barrier at which it waits
  TSAN(void* tsan;)
};

static const size_t STACK_BYTES = 64 * 1024;
static std::vector<Thread> threads;
static std::vector<char> memory;
static Stack scheduler;
static unsigned current;
static void (*body)(void*);
static void* arguments;
TSAN(static void* scheduler_tsan;)
TSAN(static char begin_tag, end_tag, barrier_tags[2];)
static unsigned barriers_passed;

// For ThreadSanitizer every CUDA thread is a thread of its own, and only a barrier orders one thread's writes before
// another's reads. Two threads that use one address without a barrier between them are reported, in whatever order they
// happen to run here.
static void enter(unsigned thread) {
  current = thread;
  threadIdx = {thread, 0, 0};
  TSAN(__tsan_switch_to_fiber(threads[thread].tsan, __tsan_switch_to_fiber_no_sync);)
  switch_to(scheduler, threads[thread].stack);
}

static void leave() {
  TSAN(__tsan_switch_to_fiber(scheduler_tsan, __tsan_switch_to_fiber_no_sync);)
  switch_to(threads[current].stack, scheduler);
}

extern "C" void emu_barrier(int line) {
  threads[current].line = line;
  // Two tags take turns, so that a thread already at the next barrier is not mistaken for one at this barrier.
  TSAN(char* tag = &barrier_tags[barriers_passed % 2];)
  TSAN(__tsan_release(tag);)
  leave();
  TSAN(__tsan_acquire(tag);)
}

static void run_thread() {
  TSAN(__tsan_acquire(&begin_tag);)
  body(arguments);
  threads[current].done = true;
  TSAN(__tsan_release(&end_tag);)
  leave();
}

// Runs each thread up to the next barrier, again and again. All threads must wait at the same one.
static bool run_with_barriers(const std::vector<unsigned>& order) {
  const unsigned count = order.size();
  threads.resize(count);
  memory.resize(count * STACK_BYTES);
  for (unsigned t = 0; t < count; ++t) {
    prepare(threads[t].stack, memory.data() + t * STACK_BYTES, STACK_BYTES, run_thread);
    threads[t].done = false;
    threads[t].line = 0;
    TSAN(if (!threads[t].tsan) threads[t].tsan = __tsan_create_fiber(0);)
  }
  TSAN(scheduler_tsan = __tsan_get_current_fiber();)
  TSAN(__tsan_release(&begin_tag);)  // everything before this block happens before its threads
  for (;;) {
    unsigned done = 0;
    for (unsigned t : order) {
      enter(t);
      done += threads[t].done;
    }
    if (done == count) {
      TSAN(__tsan_acquire(&end_tag);)  // and its threads happen before everything after this block
      return true;
    }
    if (done > 0) {
      snprintf(message, sizeof message, "barrier divergence: %u of %u threads have ended, the others wait", done, count);
      return false;
    }
    for (unsigned t = 1; t < count; ++t)
      if (threads[t].line != threads[0].line) {
        snprintf(message, sizeof message, "threads of one block wait at different barriers, lines %d and %d",
                 threads[0].line, threads[t].line);
        return false;
      }
    ++barriers_passed;
  }
}

static void put_in_order(std::vector<unsigned>& turns, unsigned first, unsigned stop, int order) {
  turns.resize(stop - first);
  std::iota(turns.begin(), turns.end(), first);
  if (order == 1) std::reverse(turns.begin(), turns.end());
  if (order > 1) std::shuffle(turns.begin(), turns.end(), std::mt19937(order));
}

static bool run_blocks(unsigned first, unsigned stop, unsigned count, int order, int barriers, void* shared,
                       size_t shared_bytes) {
  static std::vector<unsigned> turns, block_turns;  // static: a launch may end by longjmp, which destroys nothing
  put_in_order(turns, 0, count, order);
  put_in_order(block_turns, first, stop, order);
  for (unsigned block : block_turns) {
    blockIdx = {block, 0, 0};
    if (shared_bytes) memset(shared, 0xFF, shared_bytes);
    if (barriers) {
      if (!run_with_barriers(turns)) return false;
      continue;
    }
    for (unsigned t : turns) {
      threadIdx = {t, 0, 0};
      body(arguments);
    }
  }
  return true;
}

// order 0: blocks and threads run in ascending order, 1: descending, others: shuffled. All must give the same result.
// Only the blocks first .. stop - 1 of the grid run. Returns 0, or 1 after a mistake; emu_message says which.
extern "C" int emu_launch(unsigned blocks, unsigned count, unsigned first, unsigned stop, int order, int barriers,
                          void (*kernel)(void*), void* given, void* shared, size_t shared_bytes) {
  gridDim = {blocks, 1, 1};
  blockDim = {count, 1, 1};
  body = kernel;
  arguments = given;
  if (setjmp(way_out)) return 1;
  return run_blocks(first, stop, count, order, barriers, shared, shared_bytes) ? 0 : 1;
}

// --- undefined behaviour --------------------------------------------------------------------------------------------
// The compiler's checks call these handlers. The first argument of each says where it happened.

struct Place {
  const char* file;
  uint32_t line, column;
};

static void report(const void* data, const char* what) {
  const Place* place = (const Place*)data;
  snprintf(message, sizeof message, "%s:%u: %s", place->file, place->line, what);
  longjmp(way_out, 1);
}

#define HANDLER(name, what, ...) \
  extern "C" void __ubsan_handle_##name(void* data, ##__VA_ARGS__) { report(data, what); }
HANDLER(add_overflow, "an addition overflows", void*, void*)
HANDLER(sub_overflow, "a subtraction overflows", void*, void*)
HANDLER(mul_overflow, "a multiplication overflows", void*, void*)
HANDLER(negate_overflow, "a negation overflows", void*)
HANDLER(divrem_overflow, "a division by zero, or one that overflows", void*, void*)
HANDLER(shift_out_of_bounds, "a shift by too many bits", void*, void*)
HANDLER(out_of_bounds, "an index outside its array", void*)
HANDLER(pointer_overflow, "a pointer overflows", void*, void*)
HANDLER(type_mismatch_v1, "a null or misaligned pointer", void*)
HANDLER(load_invalid_value, "a bool that is neither 0 nor 1", void*)
HANDLER(vla_bound_not_positive, "an array of no size", void*)
HANDLER(nonnull_arg, "a null argument")
HANDLER(invalid_builtin, "an invalid argument of a builtin")
