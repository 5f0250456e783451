#include "base/metrics.h"

#include <gtest/gtest.h>

namespace encke {
namespace {

TEST(Histogram, PowersOfTwo) {
  Histogram h;
  for (const std::uint64_t v : {0, 1, 2, 3, 4, 5})
    h.Observe(v);
  h.Observe(~std::uint64_t{0} >> 1);
  EXPECT_EQ(h.bucket(0), 2U);  // 0, 1
  EXPECT_EQ(h.bucket(1), 1U);  // 2
  EXPECT_EQ(h.bucket(2), 2U);  // 3, 4
  EXPECT_EQ(h.bucket(3), 1U);  // 5
  EXPECT_EQ(h.bucket(Histogram::kBuckets - 1), 1U);
  EXPECT_EQ(h.count(), 7U);
}

TEST(MetricsWriter, PrometheusText) {
  MetricsWriter out;
  out.Count("a_total", "things", "", 3);
  out.Level("b", "now", "via=\"ws\"", 1);
  out.Level("b", "now", "via=\"tcp\"", 2);
  EXPECT_EQ(out.Take(),
            "# HELP a_total things\n# TYPE a_total counter\na_total 3\n"
            "# HELP b now\n# TYPE b gauge\nb{via=\"ws\"} 1\nb{via=\"tcp\"} 2\n");
}

}  // namespace
}  // namespace encke
