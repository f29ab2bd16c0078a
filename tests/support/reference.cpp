#include "support/reference.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace quant::test {

FloatArray read_npy(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[8];
  unsigned char length[2];
  if (!file.read(magic, 8) || !file.read(reinterpret_cast<char*>(length), 2)) {
    throw std::runtime_error(path.string() + ": not an npy file");
  }
  std::string header(static_cast<std::size_t>(length[0] + 256 * length[1]), ' ');
  file.read(header.data(), static_cast<std::streamsize>(header.size()));
  if (header.find("'<f4'") == std::string::npos) throw std::runtime_error("not float32");
  FloatArray array;
  std::size_t n = 1;
  std::size_t at = header.find('(', header.find("shape")) + 1;
  const std::size_t end = header.find(')', at);
  while (at < end) {
    array.shape.push_back(std::stoul(header.substr(at)));
    n *= array.shape.back();
    at = header.find(',', at);
    if (at == std::string::npos || at + 1 >= end) break;
    ++at;
  }
  array.values.resize(n);
  file.read(reinterpret_cast<char*>(array.values.data()),
            static_cast<std::streamsize>(n * sizeof(float)));
  if (!file) throw std::runtime_error(path.string() + ": too short");
  return array;
}

std::vector<LogitReference> read_references(const std::filesystem::path& index) {
  std::vector<LogitReference> references;
  std::ifstream file(index);
  if (!file) return references;
  const std::filesystem::path dir = index.parent_path();
  const nlohmann::json records = nlohmann::json::parse(file);
  for (const auto& [name, record] : records.items()) {
    references.push_back({name, dir / record.value("file", name + ".gguf"),
                          dir / (name + ".logits.npy"),
                          record.at("tokens").get<std::vector<Token>>(), record.value("context", 0),
                          record.at("llamacpp_as_stored_max_abs_diff").get<double>()});
  }
  return references;
}

std::vector<ReferenceLoss> read_losses(const std::filesystem::path& path) {
  std::vector<ReferenceLoss> losses;
  std::ifstream file(path);
  ReferenceLoss line{};
  while (file >> line.token >> line.nll >> line.argmax) losses.push_back(line);
  return losses;
}

std::vector<Token> read_ids(const std::filesystem::path& path) {
  std::vector<Token> ids;
  std::ifstream file(path);
  for (Token id = 0; file >> id;) ids.push_back(id);
  return ids;
}

}  // namespace quant::test
