#include "quant/model.h"

#include <fmt/format.h>

#include "gguf/gguf.h"
#include "model/load.h"
#include "model/pack.h"
#include "model/weights.h"
#include "quant/error.h"

namespace quant {

std::shared_ptr<const Model> Model::load(const std::string& path, const LoadOptions& options) {
  const std::shared_ptr<Model> model(new Model);
  model->path_ = path;
  model->file_ = std::make_unique<const GgufFile>(GgufFile::open(path));
  ConfigAndWeights parts = load_config_and_weights(*model->file_);
  model->config_ = std::move(parts.config);
  model->tokenizer_ = Tokenizer::from_gguf(*model->file_);
  // Embeddings may be padded beyond the vocabulary, never the other way round.
  if (model->tokenizer_->vocab_size() > model->config_.n_vocab) {
    throw Error(ErrorKind::kModel,
                fmt::format("{}: the tokenizer has {} tokens, but token_embd.weight only {} rows",
                            path, model->tokenizer_->vocab_size(), model->config_.n_vocab));
  }
  if (options.pack_weights) pack_weights(parts.weights, options.threads);
  model->weights_ = std::make_unique<const ModelWeights>(std::move(parts.weights));
  return model;
}

Model::~Model() = default;

std::uint64_t Model::weight_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const Tensor& tensor : file_->tensors()) bytes += tensor.data.size();
  return bytes;
}

std::uint64_t Model::parameters() const noexcept {
  std::uint64_t count = 0;
  for (const Tensor& tensor : file_->tensors()) count += tensor.values();
  return count;
}

std::vector<std::string> Model::paths() const { return file_->part_paths(); }

std::map<std::string, int> Model::tensor_types() const {
  std::map<std::string, int> types;
  for (const Tensor& tensor : file_->tensors()) ++types[tensor_type_name(tensor.type_number)];
  return types;
}

std::string Model::chat_template() const {
  return std::string(file_->get_string("tokenizer.chat_template").value_or(""));
}

}  // namespace quant
