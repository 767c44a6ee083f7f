/* Makes system calls by their numbers, so that attacks need nothing but sh in an image.

   call NUMBER [ARGUMENT...] [, NUMBER [ARGUMENT...]]... [-- PROGRAM [ARGUMENT...]]

   Prints the result of each call. Ends with status 1 at the first call that fails; runs PROGRAM after the last.
   An argument is a decimal number; xHEX, a pointer to these bytes; @N, a pointer to the page N of empty memory,
   which begins at 0x10000000; or a pointer to its own text. */

#define PAGE 4096
static char memory[64 * PAGE];

#if defined(__x86_64__)
#define EXECVE 59
#define WRITE 1
#define EXIT 60
static long raw(long n, const long *a) {
  long r;
  register long r10 __asm__("r10") = a[3];
  register long r8 __asm__("r8") = a[4];
  register long r9 __asm__("r9") = a[5];
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return r;
}
__asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
#elif defined(__aarch64__)
#define EXECVE 221
#define WRITE 64
#define EXIT 93
static long raw(long n, const long *a) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a[0];
  register long x1 __asm__("x1") = a[1];
  register long x2 __asm__("x2") = a[2];
  register long x3 __asm__("x3") = a[3];
  register long x4 __asm__("x4") = a[4];
  register long x5 __asm__("x5") = a[5];
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n mov x0, sp\n bl run\n");
#endif

static long number(const char *text) {
  long value = 0, sign = 1;
  if (*text == '-') { sign = -1; text++; }
  while (*text >= '0' && *text <= '9') value = value * 10 + (*text++ - '0');
  return sign * value;
}

static int digit(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

static long value(char *text) {
  if (*text == '@') return (long)(memory + number(text + 1) * PAGE);
  if (*text == 'x') {
    char *to = text;
    for (char *from = text + 1; from[0] && from[1]; from += 2) *to++ = digit(from[0]) * 16 + digit(from[1]);
    return (long)text;
  }
  if ((*text >= '0' && *text <= '9') || (*text == '-' && text[1])) return number(text);
  return (long)text;
}

static void print(long result) {
  char text[24];
  char *at = text + sizeof text;
  unsigned long rest = result < 0 ? -(unsigned long)result : (unsigned long)result;
  *--at = '\n';
  do *--at = '0' + rest % 10; while (rest /= 10);
  if (result < 0) *--at = '-';
  long a[6] = {1, (long)at, text + sizeof text - at};
  raw(WRITE, a);
}

static int is(const char *text, char first, char second) { return text[0] == first && text[1] == second && (!second || !text[2]); }

void run(long *stack) {
  long count = stack[0], status = 0;
  char **words = (char **)(stack + 1), **environment = words + count + 1;
  long at = 1;
  while (at < count && !status) {
    if (is(words[at], '-', '-')) {
      long a[6] = {(long)words[at + 1], (long)(words + at + 1), (long)environment};
      print(raw(EXECVE, a));
      status = 127;
      break;
    }
    long n = number(words[at++]), a[6] = {0}, given = 0;
    while (at < count && !is(words[at], ',', 0) && !is(words[at], '-', '-'))
      if (given < 6) a[given++] = value(words[at++]);
      else at++;
    if (at < count && is(words[at], ',', 0)) at++;
    long result = raw(n, a);
    print(result);
    if (result < 0 && result > -4096) status = 1;
  }
  long a[6] = {status};
  raw(EXIT, a);
}
