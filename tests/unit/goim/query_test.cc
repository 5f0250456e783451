#include "goim/query.h"

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace encke::goim {
namespace {

std::string ErrorOf(std::string_view text, int bits) {
  std::int64_t value = 0;
  return ParseGoInt(text, bits, &value);
}

std::int64_t ValueOf(std::string_view text, int bits) {
  std::int64_t value = 0;
  EXPECT_EQ(ParseGoInt(text, bits, &value), "");
  return value;
}

TEST(ParseGoInt, ReadsWhatGoReads) {
  EXPECT_EQ(ValueOf("0", 32), 0);
  EXPECT_EQ(ValueOf("-0", 32), 0);
  EXPECT_EQ(ValueOf("+5", 32), 5);
  EXPECT_EQ(ValueOf("007", 32), 7);
  EXPECT_EQ(ValueOf("2147483647", 32), 2147483647);
  EXPECT_EQ(ValueOf("-2147483648", 32), -2147483648LL);
  EXPECT_EQ(ValueOf("9223372036854775807", 64), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(ValueOf("-9223372036854775808", 64), std::numeric_limits<std::int64_t>::min());
}

TEST(ParseGoInt, SaysWhatGoSays) {
  EXPECT_EQ(ErrorOf("abc", 32), R"(strconv.ParseInt: parsing "abc": invalid syntax)");
  EXPECT_EQ(ErrorOf("99999999999", 32),
            R"(strconv.ParseInt: parsing "99999999999": value out of range)");
  EXPECT_EQ(ErrorOf("2147483648", 32),
            R"(strconv.ParseInt: parsing "2147483648": value out of range)");
  EXPECT_EQ(ErrorOf("-2147483649", 32),
            R"(strconv.ParseInt: parsing "-2147483649": value out of range)");
  EXPECT_EQ(ErrorOf("9223372036854775808", 64),
            R"(strconv.ParseInt: parsing "9223372036854775808": value out of range)");
  EXPECT_EQ(ErrorOf("18446744073709551616", 64),
            R"(strconv.ParseInt: parsing "18446744073709551616": value out of range)");
  EXPECT_EQ(ErrorOf("1,2", 64), R"(strconv.ParseInt: parsing "1,2": invalid syntax)");
  EXPECT_EQ(ErrorOf("-", 32), R"(strconv.ParseInt: parsing "-": invalid syntax)");
  EXPECT_EQ(ErrorOf("1_0", 32), R"(strconv.ParseInt: parsing "1_0": invalid syntax)");
  EXPECT_EQ(ErrorOf("a\"\n\x01", 32),
            "strconv.ParseInt: parsing \"a\\\"\\n\\x01\": invalid syntax");
}

TEST(ParseGoInt, StopsAtTheFirstFault) {
  EXPECT_EQ(ErrorOf("4294967296x", 32),
            R"(strconv.ParseInt: parsing "4294967296x": value out of range)");
  EXPECT_EQ(ErrorOf("2147483648x", 32),
            R"(strconv.ParseInt: parsing "2147483648x": invalid syntax)");
}

TEST(Query, TheFirstScalarCountsAndListsRepeat) {
  Query query("operation=7&mids=1&operation=8&mids=&mids=-3&keys=a,b&keys=&x=y");
  EXPECT_EQ(query.Int32("operation", "Op"), 7);
  EXPECT_EQ(query.Int64s("mids"), (std::vector<std::int64_t>{1, 0, -3}));
  EXPECT_EQ(query.Texts("keys"), (std::vector<std::string>{"a,b", ""}));
  EXPECT_EQ(query.Text("platform", "Platform"), "");
  EXPECT_EQ(query.error(), "");
}

TEST(Query, RequiredMeansThereAndNotZero) {
  const std::string op = "Key: 'Op' Error:Field validation for 'Op' failed on the 'required' tag";
  const std::string type =
      "Key: 'Type' Error:Field validation for 'Type' failed on the 'required' tag";
  const std::string rooms =
      "Key: 'Rooms' Error:Field validation for 'Rooms' failed on the 'required' tag";
  for (const char* text : {"", "operation=&type=", "operation=0&type=&type=x"}) {
    Query query(text);
    query.Int32("operation", "Op", Need::kRequired);
    query.Text("type", "Type", Need::kRequired);
    query.Texts("rooms", "Rooms", Need::kRequired);
    EXPECT_EQ(query.error(), op + "\n" + type + "\n" + rooms) << text;
  }
  Query empty_list("rooms=");
  EXPECT_EQ(empty_list.Texts("rooms", "Rooms", Need::kRequired).size(), 1U);
  EXPECT_EQ(empty_list.error(), "");
}

TEST(Query, AnUnreadableNumberHidesTheRest) {
  Query query("operation=x&limit=y");
  query.Text("type", "Type", Need::kRequired);
  query.Int32("operation", "Op", Need::kRequired);
  query.Int64("limit", "Limit", Need::kRequired);
  EXPECT_EQ(query.error(), R"(strconv.ParseInt: parsing "x": invalid syntax)");
}

}  // namespace
}  // namespace encke::goim
