#include "rpc/pump.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace encke::rpc {
namespace {

// A message that needs no protobuf.
struct Words {
  std::string text;
  void Clear() { text.clear(); }
};

class Talker : public StreamUser<Words, Words> {
 public:
  bool Fill(Words* out) override {
    std::lock_guard lock(mutex);
    ++fills;
    out->text.swap(waiting);
    return !out->text.empty();
  }
  bool Written() override {
    std::lock_guard lock(mutex);
    return !waiting.empty();
  }
  void OnMessage(const Words&) override {}
  void OnClosed(const std::string& why) override { closed.push_back(why); }
  void Add(const std::string& word) {
    std::lock_guard lock(mutex);
    waiting += word;
  }
  std::mutex mutex;
  std::string waiting;
  int fills = 0;
  std::vector<std::string> closed;
};

// The end of a call that the test plays itself.
class FakeEnd : public Pump<Words, Words> {
 public:
  using Pump::Attach;
  using Pump::Done;
  using Pump::OnRead;
  using Pump::OnWritten;

  std::string WaitWrite() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [this] { return !written_.empty(); });
    return std::exchange(written_, "");
  }
  void WaitEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [this] { return !events_.empty(); });
  }
  bool idle() {
    std::lock_guard lock(mutex_);
    return written_.empty();
  }
  std::vector<std::string> events() {
    std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  void Write(const Words* out) override {
    std::lock_guard lock(mutex_);
    written_ = out->text;
    changed_.notify_all();
  }
  void Read(Words*) override {}
  void End(bool broken) override { Note(broken ? "end broken" : "end"); }
  void Cancel() override { Note("cancel"); }
  void Note(const std::string& what) {
    std::lock_guard lock(mutex_);
    events_.push_back(what);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string written_;
  std::vector<std::string> events_;
};

class PumpTest : public testing::Test {
 protected:
  std::shared_ptr<Talker> user = std::make_shared<Talker>();
  std::shared_ptr<FakeEnd> end = std::make_shared<FakeEnd>();

  void Finish() {  // gRPC ends a call only after our goodbye
    end->Close();
    end->WaitEnd();
    end->Done("");
  }
};

TEST_F(PumpTest, WhatGathersDuringAWriteLeavesAsOneMessage) {
  end->Attach(user);
  user->Add("a");
  end->Kick();
  EXPECT_EQ(end->WaitWrite(), "a");
  for (const char* word : {"b", "c", "d"}) {
    user->Add(word);
    end->Kick();
  }
  EXPECT_TRUE(end->idle());  // one write in flight, never two
  end->OnWritten(true);
  EXPECT_EQ(end->WaitWrite(), "bcd");
  end->OnWritten(true);
  EXPECT_TRUE(end->idle());
  Finish();
}

TEST_F(PumpTest, KickHereWritesOnTheCallersThread) {
  end->Attach(user);
  user->Add("a");
  end->KickHere();
  EXPECT_FALSE(end->idle());  // nothing else had to run
  EXPECT_EQ(end->WaitWrite(), "a");
  user->Add("b");
  end->KickHere();
  EXPECT_TRUE(end->idle());  // one write in flight, never two
  end->OnWritten(true);
  EXPECT_EQ(end->WaitWrite(), "b");
  end->OnWritten(true);
  Finish();
}

// No timer for what may be behind a lone message.
TEST_F(PumpTest, AfterAWriteFillComesOnlyWhenThereIsMoreToSay) {
  end->Attach(user);
  user->Add("a");
  end->KickHere();
  EXPECT_EQ(end->WaitWrite(), "a");
  user->Add("b");  // without a Kick
  end->OnWritten(true);
  EXPECT_EQ(end->WaitWrite(), "b");
  end->OnWritten(true);
  end->Close();
  EXPECT_EQ(end->events(), std::vector<std::string>{"end"}) << "nothing was scheduled any more";
  end->Done("");
  EXPECT_EQ(user->fills, 2);
}

TEST_F(PumpTest, TheGoodbyeWaitsForTheWriteInFlight) {
  end->Attach(user);
  user->Add("a");
  end->Kick();
  EXPECT_EQ(end->WaitWrite(), "a");
  end->Close();
  EXPECT_TRUE(end->events().empty());
  user->Add("too late");
  end->OnWritten(true);
  EXPECT_EQ(end->events(), std::vector<std::string>{"end"});
  EXPECT_TRUE(end->idle());
  end->Done("");
  EXPECT_EQ(user->closed, std::vector<std::string>{"closed here"});
}

TEST_F(PumpTest, AFailedWriteEndsTheCall) {
  end->Attach(user);
  user->Add("a");
  end->Kick();
  end->WaitWrite();
  end->OnWritten(false);
  EXPECT_EQ(end->events(), (std::vector<std::string>{"cancel", "end broken"}));
  end->OnRead(false);  // comes too, and changes nothing
  end->Done("status 14");
  EXPECT_EQ(user->closed, std::vector<std::string>{"write failed, status 14"});
}

TEST_F(PumpTest, CloseBeforeAttachEndsAtAttach) {
  end->Close();
  EXPECT_TRUE(end->events().empty());
  end->Attach(user);
  EXPECT_EQ(end->events(), std::vector<std::string>{"end"});
  end->Done("");
}

TEST_F(PumpTest, KickBeforeAttachIsRemembered) {
  user->Add("a");
  end->Kick();
  EXPECT_TRUE(end->idle());
  end->Attach(user);
  EXPECT_EQ(end->WaitWrite(), "a");
  end->OnWritten(true);
  Finish();
}

}  // namespace
}  // namespace encke::rpc
