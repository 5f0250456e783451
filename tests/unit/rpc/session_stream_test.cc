#include <atomic>
#include <future>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "rpc/server.h"
#include "rpc/streams.h"

namespace encke::rpc {
namespace {

// Logic: answers every Connect with a reply of the same id.
class Logic : public SessionServerUser {
 public:
  explicit Logic(std::shared_ptr<StreamHandle> handle) : handle_(std::move(handle)) {}
  bool Fill(SessionDown* out) override {
    for (; next_ <= last_.load(); ++next_)
      out->add_connects()->set_id(next_);
    return out->connects_size() > 0;
  }
  void OnMessage(const SessionUp& in) override {
    for (const auto& connect : in.connects())
      last_ = connect.id();
    handle_->Kick();
  }
  void OnClosed(const std::string&) override { handle_ = nullptr; }

 private:
  std::shared_ptr<StreamHandle> handle_;
  std::atomic<std::uint64_t> last_{0};
  std::uint64_t next_ = 1;
};

// Comet: asks three times in one message, counts the answers.
class Asker : public SessionClientUser {
 public:
  bool Fill(SessionUp* out) override {
    if (asked_) return false;
    for (std::uint64_t id = 1; id <= 3; ++id)
      out->add_connects()->set_id(id);
    return asked_ = true;
  }
  void OnMessage(const SessionDown& in) override {
    answers_ += in.connects_size();
    if (answers_ == 3) answered.set_value();
  }
  void OnClosed(const std::string& why) override { closed.set_value(why); }

  std::promise<void> answered;
  std::promise<std::string> closed;

 private:
  bool asked_ = false;
  int answers_ = 0;
};

TEST(SessionStream, AskAndAnswer) {
  const auto service = MakeSessionService(
      [](std::shared_ptr<StreamHandle> handle) { return std::make_shared<Logic>(handle); });
  auto server = Server::Start({}, {service.get()});
  ASSERT_TRUE(server);
  auto comet = std::make_shared<Asker>();
  const auto handle =
      OpenSession(MakeChannel("127.0.0.1:" + std::to_string((*server)->port())), comet);
  handle->Kick();
  comet->answered.get_future().get();
  handle->Close();
  EXPECT_EQ(comet->closed.get_future().get(), "closed here");
}

}  // namespace
}  // namespace encke::rpc
