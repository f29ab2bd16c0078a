# One small translation unit an instruction set, PREFIX + NAME.cpp: src/kernels/isa_avx2.cpp. Only
# such files are compiled with ISA flags; src/kernels/select.cpp chooses between them at run time.
function(quant_add_isa_sources target prefix)
  target_sources(${target} PRIVATE ${prefix}scalar.cpp)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(avx2_flags -mavx2 -mfma -mf16c)
    set(avx512_flags ${avx2_flags} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
                     -mprefer-vector-width=512
                     -Wno-maybe-uninitialized -Wno-uninitialized)  # false, inside GCC 12's own headers
    set(amx_flags ${avx512_flags} -mamx-tile -mamx-int8)
    set(avxvnni_flags ${avx2_flags} -mavxvnni)
    # GCC would otherwise form all products of a block before it adds the first, and run out of
    # registers; what multiplies and adds in one instruction is in no danger.
    list(APPEND avx2_flags "$<$<CXX_COMPILER_ID:GNU>:-fno-tree-reassoc;-fno-tree-ter>")
    # Checks for undefined behaviour make these take the compiler longer than ten minutes each. The
    # scalar file has the same templates and keeps them; what only a vector unit's own code does goes
    # without.
    foreach(isa avx2 avxvnni avx512 amx)
      set(file ${prefix}${isa}.cpp)
      target_sources(${target} PRIVATE ${file})
      set_source_files_properties(${file} TARGET_DIRECTORY ${target}
        PROPERTIES COMPILE_OPTIONS "${${isa}_flags};-fno-sanitize=undefined")
    endforeach()
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    target_sources(${target} PRIVATE ${prefix}neon.cpp)
  endif()
endfunction()
