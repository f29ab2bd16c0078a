// Small vocabularies of tests/data/tokenizers as GGUF files.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quant/tokenizer.h"
#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant::test {

inline nlohmann::json read_tokenizer_data(const std::string& name) {
  return nlohmann::json::parse(read_file(data_dir() / "tokenizers" / (name + ".json")));
}

inline const nlohmann::json& find_variant(const nlohmann::json& data, const std::string& name) {
  for (const auto& variant : data.at("variants")) {
    if (variant.at("name") == name) return variant;
  }
  throw std::out_of_range("no variant " + name);
}

/// The GGUF file of a variant of bpe.json, spm.json or raw_bpe.json.
inline GgufWriter variant_file(const nlohmann::json& data, const nlohmann::json& variant) {
  GgufWriter writer;
  writer.add("general.architecture", "llama");
  writer.add("tokenizer.ggml.model", data.at("model").get<std::string>());
  writer.add("tokenizer.ggml.tokens", data.at("tokens").get<std::vector<std::string>>());
  writer.add("tokenizer.ggml.token_type", data.at("types").get<std::vector<std::int32_t>>());
  if (data.contains("merges")) {
    writer.add("tokenizer.ggml.merges", data.at("merges").get<std::vector<std::string>>());
  }
  if (data.contains("scores")) {
    writer.add("tokenizer.ggml.scores", data.at("scores").get<std::vector<float>>());
  }
  for (const auto& [key, value] : variant.at("metadata").items()) {
    if (value.is_boolean()) {
      writer.add(key, value.get<bool>());
    } else if (value.is_number()) {
      writer.add(key, value.get<std::uint32_t>());
    } else {
      writer.add(key, value.get<std::string>());
    }
  }
  return writer;
}

inline GgufWriter vocabulary_file(const std::string& name, const std::string& variant) {
  const nlohmann::json data = read_tokenizer_data(name);
  return variant_file(data, find_variant(data, variant));
}

inline std::unique_ptr<const Tokenizer> load_tokenizer(const GgufWriter& writer) {
  const TempDir dir;
  const auto path = dir.path() / "vocabulary.gguf";
  writer.write(path);
  return Tokenizer::load(path);
}

}  // namespace quant::test
