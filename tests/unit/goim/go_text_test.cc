#include "goim/go_text.h"

#include <gtest/gtest.h>

namespace encke::goim {
namespace {

TEST(GoText, JsonAsGoWritesIt) {
  EXPECT_EQ(GoJson("plain é 中 😀"), "\"plain é 中 😀\"");
  EXPECT_EQ(GoJson("<a href=\"x\">&</a>"),
            "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\u003c/a\\u003e\"");
  EXPECT_EQ(GoJson("\\\n\r\t\b\x1f\x7f"), "\"\\\\\\n\\r\\t\\u0008\\u001f\x7f\"");
  EXPECT_EQ(GoJson("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"");
}

TEST(GoText, WhatIsNotUtf8IsReplacedByteByByte) {
  EXPECT_EQ(GoJson("a\xff\xfe"), "\"a\\ufffd\\ufffd\"");
  EXPECT_EQ(GoJson("\xc0\x80"), "\"\\ufffd\\ufffd\"");             // overlong
  EXPECT_EQ(GoJson("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");  // half a surrogate pair
  EXPECT_EQ(GoJson("\xe4\xb8"), "\"\\ufffd\\ufffd\"");             // cut off
  EXPECT_EQ(GoJson("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

TEST(GoText, FloatsAreShortest) {
  EXPECT_EQ(GoFloat32(1.8F), "1.8");
  EXPECT_EQ(GoFloat32(0.3F), "0.3");
  EXPECT_EQ(GoFloat32(2.0F), "2");
  EXPECT_EQ(GoFloat32(10000000.0F), "10000000");
}

TEST(GoText, QuotedAsStrconvDoes) {
  EXPECT_EQ(GoQuoted("a\a\x7f\"\\é\xff"), "\"a\\a\\x7f\\\"\\\\é\\xff\"");
  EXPECT_EQ(GoQuoted("\xc2\x85"), "\"\\u0085\"");
}

}  // namespace
}  // namespace encke::goim
