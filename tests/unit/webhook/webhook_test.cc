#include "webhook/webhook.h"

#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>

#include <gtest/gtest.h>
#include <unistd.h>

#include "webhook/curl.h"

namespace encke::webhook {
namespace {

// Answers posts as a test says; it can hold one back.
class Receiver {
 public:
  PostPort Port() {
    return [this](const Post& post, const std::atomic<bool>& abort) {
      std::unique_lock lock(mutex_);
      posts_.push_back(post);
      changed_.notify_all();
      while (held_ && !abort)
        changed_.wait_for(lock, std::chrono::milliseconds(1));
      if (held_) return Posted{0, "aborted"};
      if (answers_.empty()) return Posted{200, ""};
      const int status = answers_.front();
      if (answers_.size() > 1 || !last_for_ever) answers_.erase(answers_.begin());
      return Posted{status, ""};
    };
  }
  void Say(std::vector<int> answers) {
    std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
  }
  void Hold(bool held) {
    std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  std::vector<Post> Await(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return posts_.size() >= count; });
    return posts_;
  }
  bool last_for_ever = false;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Post> posts_;
  std::vector<int> answers_;
  bool held_ = false;
};

class WebhookTest : public ::testing::Test {
 protected:
  static WebhookOptions Options() {
    WebhookOptions options;
    options.url = "http://here";
    options.backoff_min = options.backoff_max = Duration(1);
    options.events_max = 5;
    options.batch_max = 3;
    return options;
  }
  // Everything that was put has its fate.
  void Settle(Webhook& hook) { hook.Stop(Duration(10'000)); }
  Receiver receiver;
};

TEST_F(WebhookTest, EventsLeaveInOrderAndInBatches) {
  receiver.Hold(true);
  Webhook hook(Options(), "key", receiver.Port());
  hook.Put("1");
  receiver.Await(1);
  for (const char* event : {"2", "3", "4", "5", "6"})
    hook.Put(event);
  receiver.Hold(false);
  Settle(hook);
  const auto posts = receiver.Await(3);
  ASSERT_EQ(posts.size(), 3u);
  EXPECT_EQ(posts[0].body, R"({"events":[1]})");
  EXPECT_EQ(posts[1].body, R"({"events":[2,3,4]})");
  EXPECT_EQ(posts[2].body, R"({"events":[5,6]})");
  EXPECT_EQ(hook.counts().delivered.value(), 6u);
  EXPECT_EQ(hook.counts().waiting.value(), 0);
}

TEST_F(WebhookTest, PastTheBoundTheNewOneIsDroppedAndNobodyWaits) {
  receiver.Hold(true);
  Webhook hook(Options(), "key", receiver.Port());
  hook.Put("1");
  receiver.Await(1);
  for (int i = 0; i < 7; ++i)
    hook.Put("x");
  EXPECT_EQ(hook.counts().full.value(), 2u);
  EXPECT_EQ(hook.counts().waiting.value(), 6);
  receiver.Hold(false);
  Settle(hook);
  EXPECT_EQ(hook.counts().delivered.value(), 6u);
  WebhookOptions small = Options();
  small.bytes_max = 4;
  Webhook other(small, "key", receiver.Port());
  other.Put("too long");
  EXPECT_EQ(other.counts().full.value(), 1u);
}

TEST_F(WebhookTest, WhatMayPassIsTriedAgainUnderTheSameDeliveryId) {
  receiver.Say({0, 500, 503, 429, 408, 204});
  Webhook hook(Options(), "key", receiver.Port());
  hook.Put("1");
  const auto posts = receiver.Await(6);
  Settle(hook);
  ASSERT_EQ(posts.size(), 6u);
  for (const Post& post : posts) {
    EXPECT_EQ(post.body, posts[0].body);
    EXPECT_EQ(post.headers[1], posts[0].headers[1]);
    EXPECT_TRUE(post.headers[1].starts_with("Encke-Delivery: "));
  }
  EXPECT_EQ(hook.counts().delivered.value(), 1u);
  EXPECT_EQ(hook.counts().posts_failed.value(), 5u);
}

TEST_F(WebhookTest, ANoIsANo) {
  receiver.Say({400, 301});
  Webhook hook(Options(), "key", receiver.Port());
  hook.Put("1");
  receiver.Await(1);
  hook.Put("2");
  receiver.Await(2);
  hook.Put("3");
  Settle(hook);
  EXPECT_EQ(hook.counts().refused.value(), 2u);
  EXPECT_EQ(hook.counts().delivered.value(), 1u);
}

TEST_F(WebhookTest, WhoIsAwayTooLongMissesItAndTheNextIsTried) {
  receiver.Say({0, 200});
  WebhookOptions options = Options();
  options.retry_for = Duration(0);
  Webhook hook(options, "key", receiver.Port());
  hook.Put("1");
  receiver.Await(1);
  hook.Put("2");
  receiver.Await(2);
  Settle(hook);
  EXPECT_EQ(hook.counts().given_up.value(), 1u);
  EXPECT_EQ(hook.counts().delivered.value(), 1u);
}

TEST_F(WebhookTest, AStopTriesOnceMoreAndCountsWhatIsLeft) {
  receiver.last_for_ever = true;
  receiver.Say({503});
  Webhook hook(Options(), "key", receiver.Port());
  for (const char* event : {"1", "2", "3", "4"})
    hook.Put(event);
  Settle(hook);
  EXPECT_EQ(hook.counts().left.value(), 4u);
  EXPECT_EQ(hook.counts().delivered.value(), 0u);
}

TEST_F(WebhookTest, AStopDoesNotWaitForAReceiverThatHangs) {
  receiver.Hold(true);
  Webhook hook(Options(), "key", receiver.Port());
  for (const char* event : {"1", "2", "3", "4"})
    hook.Put(event);
  receiver.Await(1);
  hook.Stop(Duration(0));
  EXPECT_EQ(hook.counts().left.value(), 4u);
}

TEST(Signature, IsHmacOverTimeAndBody) {  // computed with openssl dgst -sha256 -hmac
  EXPECT_EQ(Signature("s3cret", 1700000000, R"({"events":[]})"),
            "t=1700000000,v1=41b4d3f6c59a79e37d083fb3cbe77f82807c4369fd469fb70cfa75e02d2e2775");
}

TEST(WebhookMake, SaysWhatIsWrong) {
  const auto why = [](const std::string& url, const std::string& file) {
    WebhookOptions options;
    options.url = url;
    options.secret_file = file;
    const auto made = Webhook::Make(options);
    return made ? std::string() : made.error().text;
  };
  const std::string file = ::testing::TempDir() + "webhook_secret." + std::to_string(::getpid());
  std::ofstream(file) << "s3cret\n";
  EXPECT_EQ(why("", ""), "");
  EXPECT_EQ(why("https://example.org/hook", file), "");
  EXPECT_NE(why("ftp://example.org", file).find("webhook.url"), std::string::npos);
  EXPECT_NE(why("http://", file).find("webhook.url"), std::string::npos);
  EXPECT_NE(why("http://example.org", "").find("webhook.secret_file"), std::string::npos);
  EXPECT_NE(why("http://example.org", "/nowhere").find("webhook.secret_file"), std::string::npos);
  std::remove(file.c_str());
}

}  // namespace
}  // namespace encke::webhook
