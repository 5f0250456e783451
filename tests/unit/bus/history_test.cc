#include "bus/history.h"

#include <gtest/gtest.h>

namespace encke::bus {
namespace {

// RFC 4648 section 10, in small letters and without padding.
TEST(HistoryToken, IsBase32Hex) {
  EXPECT_EQ(HistoryToken(""), "");
  EXPECT_EQ(HistoryToken("f"), "co");
  EXPECT_EQ(HistoryToken("fo"), "cpng");
  EXPECT_EQ(HistoryToken("foo"), "cpnmu");
  EXPECT_EQ(HistoryToken("foob"), "cpnmuog");
  EXPECT_EQ(HistoryToken("fooba"), "cpnmuoj1");
  EXPECT_EQ(HistoryToken("foobar"), "cpnmuoj1e8");
}

TEST(HistoryToken, IsAHashWhenTheIdIsLong) {
  const std::string token = HistoryToken(std::string(200, 'x'));
  EXPECT_EQ(token.size(), 17u);
  EXPECT_EQ(token[0], 'z');
  EXPECT_NE(token, HistoryToken(std::string(201, 'x')));
  EXPECT_EQ(HistoryToken(std::string(80, 'x')).size(), 128u);
}

}  // namespace
}  // namespace encke::bus
