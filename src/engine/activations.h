// The buffers a batch passes through, allocated once a session.
#pragma once

#include "base/aligned_buffer.h"
#include "quant/model.h"

namespace quant {

struct Activations {
  Activations(const ModelConfig& config, int max_batch);

  AlignedBuffer<float> hidden;        // [batch][n_embd], the residual stream
  AlignedBuffer<float> normed;        // [batch][n_embd]
  AlignedBuffer<float> queries;       // [batch][n_heads][key_dim]
  AlignedBuffer<float> keys;          // [batch][n_kv_heads][key_dim]
  AlignedBuffer<float> values;        // [batch][n_kv_heads][value_dim]
  AlignedBuffer<float> exact_keys;    // [n_kv_heads][batch][key_dim], as attention reads them
  AlignedBuffer<float> exact_values;  // [n_kv_heads][batch][value_dim]
  AlignedBuffer<float> attended;      // [batch][n_heads][value_dim]
  AlignedBuffer<float> projected;     // [batch][n_embd], what is added to the residual stream
  AlignedBuffer<float> gate;          // [batch][n_ff]
  AlignedBuffer<float> up;            // [batch][n_ff]
};

}  // namespace quant
