# Writes HEADER with the SHA-256 over names and contents of the engine's sources under ROOT. A record
# names it, so that cells of a sweep measured by another engine are not taken for this one's.
file(GLOB_RECURSE names RELATIVE ${ROOT} ${ROOT}/src/*.cpp ${ROOT}/src/*.h ${ROOT}/include/*.h)
list(SORT names)
foreach(name ${names})
  file(SHA256 ${ROOT}/${name} hash)
  string(APPEND all "${hash}  ${name}\n")
endforeach()
string(SHA256 hash "${all}")
file(WRITE ${HEADER} "inline constexpr char kSourceSha256[] = \"${hash}\";\n")
