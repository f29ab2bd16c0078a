#include <fmt/format.h>

#include <array>

#include "gguf/cursor.h"
#include "gguf/gguf.h"

namespace quant {
namespace {

// Indexed by the type's number. A type without a block size is known by name only; an empty name
// is a number that ggml has removed or never used.
constexpr std::array<TensorTypeInfo, 43> kTypes = {{
    {"F32", 1, 4},         // 0
    {"F16", 1, 2},         // 1
    {"Q4_0", 32, 18},      // 2
    {"Q4_1", 32, 20},      // 3
    {"Q4_2", 0, 0},        // 4
    {"Q4_3", 0, 0},        // 5
    {"Q5_0", 32, 22},      // 6
    {"Q5_1", 32, 24},      // 7
    {"Q8_0", 32, 34},      // 8
    {"Q8_1", 0, 0},        // 9
    {"Q2_K", 256, 84},     // 10
    {"Q3_K", 256, 110},    // 11
    {"Q4_K", 256, 144},    // 12
    {"Q5_K", 256, 176},    // 13
    {"Q6_K", 256, 210},    // 14
    {"Q8_K", 0, 0},        // 15
    {"IQ2_XXS", 0, 0},     // 16
    {"IQ2_XS", 0, 0},      // 17
    {"IQ3_XXS", 0, 0},     // 18
    {"IQ1_S", 0, 0},       // 19
    {"IQ4_NL", 32, 18},    // 20
    {"IQ3_S", 0, 0},       // 21
    {"IQ2_S", 0, 0},       // 22
    {"IQ4_XS", 256, 136},  // 23
    {"I8", 0, 0},          // 24
    {"I16", 0, 0},         // 25
    {"I32", 0, 0},         // 26
    {"I64", 0, 0},         // 27
    {"F64", 0, 0},         // 28
    {"IQ1_M", 0, 0},       // 29
    {"BF16", 1, 2},        // 30
    {"Q4_0_4_4", 0, 0},    // 31
    {"Q4_0_4_8", 0, 0},    // 32
    {"Q4_0_8_8", 0, 0},    // 33
    {"TQ1_0", 0, 0},       // 34
    {"TQ2_0", 0, 0},       // 35
    {"IQ4_NL_4_4", 0, 0},  // 36
    {"IQ4_NL_4_8", 0, 0},  // 37
    {"IQ4_NL_8_8", 0, 0},  // 38
    {"MXFP4", 0, 0},       // 39
    {"NVFP4", 0, 0},       // 40
    {"Q1_0", 0, 0},        // 41
    {"Q2_0", 0, 0},        // 42
}};

}  // namespace

const TensorTypeInfo& tensor_type_info(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

std::string tensor_type_name(std::uint32_t number) {
  return number < kTypes.size() ? std::string(kTypes[number].name) : fmt::format("type {}", number);
}

bool tensor_type_supported(std::uint32_t number) noexcept {
  return number < kTypes.size() && kTypes[number].block_values != 0;
}

TensorType Tensor::type() const {
  if (!tensor_type_supported(type_number)) {
    throw Error(ErrorKind::kModel,
                fmt::format("tensor {} is of type {}, which is not supported: use a file with "
                            "F32, F16, BF16, Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL or IQ4_XS weights",
                            printable(name), tensor_type_name(type_number)));
  }
  return static_cast<TensorType>(type_number);
}

}  // namespace quant
