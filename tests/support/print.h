// How test parameters of the library's types are printed; tests are named after it.
#pragma once

#include <ostream>

#include "quant/cpu.h"

namespace quant {

inline void PrintTo(Isa isa, std::ostream* out) { *out << isa_name(isa); }

}  // namespace quant
