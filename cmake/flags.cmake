# Flags every target of the project shares. Contraction is off because GCC would otherwise fuse
# a*b+c on aarch64 but not on baseline x86-64, and encoded KV bytes would differ between machines.
add_library(quant_flags INTERFACE)
target_compile_options(quant_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -ffp-contract=off -fno-math-errno
  $<$<CXX_COMPILER_ID:Clang>:-Wno-sign-conversion>)  # which GCC's -Wconversion leaves out of C++
