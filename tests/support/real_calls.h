#pragma once
/* For the libraries that stand before the C library's (LD_PRELOAD): the calls behind them. Include
   it behind the definition of _GNU_SOURCE. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>

/* In a function that takes the place of `name`: declares `real`, the C library's own. */
#define REAL(name)               \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* The kernel's own entry: what such a library calls for itself passes by none of its functions. */
typedef long (*KernelEntry)(long, ...);
static KernelEntry kernel_entry(void) {
  static KernelEntry real;
  if (real == NULL) real = (KernelEntry)dlsym(RTLD_NEXT, "syscall");
  return real;
}
#define kernel(...) kernel_entry()(__VA_ARGS__)

/* In a function that takes the place of syscall(number, ...): declares `words`, what stands behind
   the number. */
#define WORDS_BEHIND(number)                                          \
  long words[6];                                                      \
  va_list list_of_words;                                              \
  va_start(list_of_words, number);                                    \
  for (int i = 0; i < 6; ++i) words[i] = va_arg(list_of_words, long); \
  va_end(list_of_words)
#define ALL_OF(words) words[0], words[1], words[2], words[3], words[4], words[5]
