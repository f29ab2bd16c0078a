// Logits of llama.cpp after every token of a list, with an FP32 KV cache and one thread.
//   dump_logits MODEL CONTEXT OUTPUT < token ids, separated by spaces
// OUTPUT: float32 [tokens][n_vocab].
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <vector>

#include "ggml-backend.h"
#include "ggml.h"
#include "llama.h"

namespace {

// llama.cpp looks GELU up in a table of half floats. This overwrites what it has just computed
// with the FP32 value, so that "exact" is exact for Gemma too.
bool recompute_gelu(ggml_tensor* result, bool ask, void*) {
  const bool is_gelu = result->op == GGML_OP_GLU && ggml_get_glu_op(result) == GGML_GLU_OP_GEGLU &&
                       result->src[1] != nullptr;
  if (ask || !is_gelu) return ask ? is_gelu : true;
  const auto* gate = static_cast<const float*>(result->src[0]->data);
  const auto* up = static_cast<const float*>(result->src[1]->data);
  auto* out = static_cast<float*>(result->data);
  for (int64_t i = 0; i < ggml_nelements(result); ++i) {
    const double x = gate[i];
    const double inner = std::sqrt(2.0 / M_PI) * x * (1.0 + 0.044715 * x * x);
    out[i] = static_cast<float>(0.5 * x * (1.0 + std::tanh(inner)) * up[i]);
  }
  return true;
}

void print_errors(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::vector<llama_token> tokens{std::istream_iterator<llama_token>(std::cin), {}};
  llama_log_set(print_errors, nullptr);
  llama_model_params model_params = llama_model_default_params();
  model_params.n_gpu_layers = 0;
  llama_model* model = llama_model_load_from_file(argv[1], model_params);
  if (model == nullptr) return 1;

  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(std::atoi(argv[2]));
  params.n_threads = params.n_threads_batch = 1;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.cb_eval = recompute_gelu;
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) return 1;
  // The engine rounds the context up, which may select other rope factors than were asked for.
  if (llama_n_ctx(context) != params.n_ctx) return 3;

  const auto count = static_cast<int32_t>(tokens.size());
  llama_batch batch = llama_batch_init(count, 0, 1);
  for (int32_t i = 0; i < count; ++i) {
    batch.token[i] = tokens[static_cast<size_t>(i)];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = count;
  if (llama_decode(context, batch) != 0) return 1;

  const auto n_vocab = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
  std::FILE* out = std::fopen(argv[3], "wb");
  if (out == nullptr) return 1;
  for (int32_t i = 0; i < count; ++i) {
    std::fwrite(llama_get_logits_ith(context, i), sizeof(float), n_vocab, out);
  }
  return std::fclose(out) == 0 ? 0 : 1;
}
