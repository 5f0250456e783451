#include "net/outbox.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace encke::net {
namespace {

std::string FrontOf(const Outbox& outbox, std::size_t most) {
  std::string text;
  outbox.Front(most, [&](std::string_view piece) { text.append(piece).append("|"); });
  return text;
}

TEST(Outbox, GivesPiecesInOrderFromTheOffset) {
  Outbox outbox;
  outbox.Add(Share("hello"), 2);
  outbox.Add(Share("world"), 0);
  outbox.Add(Share("!"), 0);
  EXPECT_EQ(outbox.bytes(), 9u);
  EXPECT_EQ(FrontOf(outbox, 2), "llo|world|");
  outbox.Drop(4);
  EXPECT_EQ(FrontOf(outbox, 9), "orld|!|");
  outbox.Drop(5);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(FrontOf(outbox, 9), "");
}

TEST(Outbox, LetsGoOfWhatIsSent) {
  const SharedBytes first = Share("first");
  Outbox outbox;
  outbox.Add(first, 0);
  for (int i = 0; i < 10; ++i)
    outbox.Add(Share("more"), 0);
  EXPECT_EQ(first.use_count(), 2);
  outbox.Drop(6);
  EXPECT_EQ(first.use_count(), 1);
}

TEST(Outbox, AgreesWithAString) {
  std::mt19937 random(1);
  Outbox outbox;
  std::string model;
  for (int step = 0; step < 5000; ++step) {
    if (random() % 2 == 0) {
      const std::string piece(1 + random() % 50, static_cast<char>('a' + step % 26));
      outbox.Add(Share(piece), 0);
      model += piece;
    } else {
      const std::size_t sent = model.empty() ? 0 : random() % (model.size() + 1);
      outbox.Drop(sent);
      model.erase(0, sent);
    }
    std::string text;
    outbox.Front(100'000, [&](std::string_view piece) { text += piece; });
    ASSERT_EQ(text, model);
    ASSERT_EQ(outbox.bytes(), model.size());
  }
}

}  // namespace
}  // namespace encke::net
