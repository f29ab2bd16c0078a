#include "eval/sentences.h"

#include <gtest/gtest.h>

#include <string>

namespace quant::test {
namespace {

/// The text with a bar at each end of a sentence.
std::string marked(std::string text) {
  std::size_t shift = 0;
  for (const std::size_t end : sentence_ends(text)) text.insert(end + shift++, 1, '|');
  return text;
}

TEST(Sentences, EndBehindMarksAndWhatTheyClose) {
  EXPECT_EQ(marked("One. Two! Three? Four"), "One.| Two!| Three?| Four");
  EXPECT_EQ(marked("(One.) \"Two.\"\n\nThree.\n"), "(One.)| \"Two.\"|\n\nThree.|\n");
  EXPECT_EQ(marked("He said “no.” Then... She left."), "He said “no.”| Then...| She left.|");
  EXPECT_EQ(marked("終わり。「始め！」 次"), "終わり。|「始め！」| 次");
}

TEST(Sentences, DoNotEndInsideOfThem) {
  for (const char* text : {"Mr. Bennet and Mrs. Long", "J. K. Rowling", "3.14 and a.b",
                           "\"How so?\" cried he", "", "no mark"}) {
    EXPECT_EQ(marked(text), text);
  }
}

}  // namespace
}  // namespace quant::test
