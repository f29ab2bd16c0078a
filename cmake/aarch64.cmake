# Cross-compiles for 64-bit ARM; programs, CTest's included, run under qemu-user. Needs
# g++-aarch64-linux-gnu and qemu-user; the libraries come from tools/fetch_sysroot.sh.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

get_filename_component(QUANT_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../.cache/aarch64-sysroot ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH ${QUANT_SYSROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${QUANT_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
  ${QUANT_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${QUANT_SYSROOT}/usr/share/pkgconfig)

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
