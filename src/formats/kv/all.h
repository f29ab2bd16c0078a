// The registry of KV formats, in the order of KvType: adding one is a header and a line here.
#pragma once

#include "formats/kv/plain.h"
#include "formats/kv/q8_0.h"
#include "formats/kv/turbo_kv.h"
#include "formats/kv/uniform.h"

namespace quant {

template <class... Formats>
struct KvFormatList {
  static constexpr int kCount = sizeof...(Formats);
};

template <class S>
using KvFormats =
    KvFormatList<KvFp32<S>, KvFp16<S>, KvBf16<S>, KvQ8_0<S>, KvUniform2b<S>, KvUniform3b<S>,
                 KvUniform4b<S>, KvTurbo2b<S>, KvTurbo3b<S>, KvTurbo4b<S>>;

}  // namespace quant
