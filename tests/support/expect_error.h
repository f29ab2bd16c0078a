// Expectations about quant::Error.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "quant/error.h"

namespace quant::test {

/// Expects that action throws a quant::Error of the kind, whose one-line message contains the text.
template <class Action>
void expect_error(ErrorKind kind, const std::string& text, const Action& action) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one with: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    const std::string message = error.what();
    EXPECT_NE(message.find(text), std::string::npos) << message << "\nlacks: " << text;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

}  // namespace quant::test
