// Encoded rows are an interface: the same row gives these bytes on every machine and in every
// version. If a format changes on purpose, the failure message has its new bytes.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "formats/kv_rows.h"
#include "support/paths.h"

namespace quant::test {
namespace {

class KvGolden : public testing::TestWithParam<KvCase> {};

TEST_P(KvGolden, BytesAreThoseOfTheFile) {
  const auto golden = nlohmann::json::parse(std::ifstream(data_dir() / "golden" / "kv_rows.json"));
  const KvCase c = GetParam();
  for (const int d : {64, 80}) {
    const auto row = golden["rows"][std::to_string(d)].get<std::vector<float>>();
    ASSERT_EQ(row.size(), static_cast<std::size_t>(d));
    std::vector<std::uint8_t> packed(c.row_bytes(d));
    ASSERT_TRUE(c.kernels().encode(row.data(), d, packed.data()));
    const std::string name = fmt::format("{}/{}", kv_format_info(c.type).name, d);
    EXPECT_EQ(fmt::format("{:02x}", fmt::join(packed, "")), golden["bytes"].value(name, ""))
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, KvGolden, testing::ValuesIn(all_kv_cases()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
