#pragma once
// Peer: a stream user for tests that writes numbered rooms and remembers what it was told.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/comet.pb.h"

#include "rpc/server.h"
#include "rpc/streams.h"

namespace encke::rpc {

inline std::string TextOf(const PushDown& m) { return m.job(); }
inline std::string TextOf(const PushUp& m) { return m.comet(); }
inline void SetText(PushDown* m, const std::string& text) { m->set_job(text); }
inline void SetText(PushUp* m, const std::string& text) { m->set_comet(text); }

template <class Out, class In>
class Peer : public StreamUser<Out, In> {
 public:
  // Set before the stream opens.
  std::function<void(const std::string&)> on_text;
  std::function<bool(const std::string&)> at_once;  // true: taken by TryMessage

  void Say(const std::string& text) {
    std::shared_ptr<StreamHandle> handle;
    {
      std::lock_guard lock(mutex_);
      waiting_.push_back(text);
      handle = handle_;
    }
    if (handle) handle->Kick();
  }
  void SayWithLockHeld(const std::string& text) {
    std::lock_guard lock(mutex_);
    waiting_.push_back(text);
    handle_->Kick();
  }
  void Hold(std::shared_ptr<StreamHandle> handle) {
    std::lock_guard lock(mutex_);
    handle_ = std::move(handle);
  }
  std::shared_ptr<StreamHandle> handle() {
    std::lock_guard lock(mutex_);
    return handle_;
  }

  bool Fill(Out* out) override {
    if (fills_under_way_.fetch_add(1) != 0) ++overlaps;
    const bool some = Next(out);
    fills_under_way_.fetch_sub(1);
    return some;
  }
  bool TryMessage(const In& in) override {
    if (!at_once || !at_once(TextOf(in))) return false;
    OnMessage(in);
    return true;
  }
  void OnMessage(const In& in) override {
    const std::string text = TextOf(in);
    if (on_text) on_text(text);
    std::lock_guard lock(mutex_);
    heard_.push_back(text);
    changed_.notify_all();
  }
  void OnClosed(const std::string& why) override {
    std::lock_guard lock(mutex_);
    ++closed_;
    why_ = why;
    changed_.notify_all();
  }

  // False when it did not come true in a time that no healthy machine needs.
  bool WaitHeard(std::size_t count) {
    return Wait([&] { return heard_.size() >= count; });
  }
  bool WaitClosed() {
    return Wait([&] { return closed_ > 0; });
  }
  std::vector<std::string> heard() {
    std::lock_guard lock(mutex_);
    return heard_;
  }
  int closed() {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  std::string why() {
    std::lock_guard lock(mutex_);
    return why_;
  }

  std::atomic<int> overlaps = 0;

 private:
  bool Next(Out* out) {
    std::lock_guard lock(mutex_);
    if (waiting_.empty()) return false;
    SetText(out, waiting_.front());
    waiting_.pop_front();
    return true;
  }
  template <class F>
  bool Wait(F reached) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), reached);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;
  std::vector<std::string> heard_;
  std::shared_ptr<StreamHandle> handle_;
  std::string why_;
  std::atomic<int> fills_under_way_ = 0;
  int closed_ = 0;
};

using JobPeer = Peer<PushDown, PushUp>;
using CometPeer = Peer<PushUp, PushDown>;

// A server whose streams all go to one CometPeer each, in order of arrival.
class Comet {
 public:
  explicit Comet(const std::string& address = "127.0.0.1:0") {
    service_ = MakePushService(
        [this](std::shared_ptr<StreamHandle> handle) { return Accept(std::move(handle)); });
    auto server = Server::Start({.address = address}, {service_.get()});
    if (server) server_ = std::move(*server);
  }
  ~Comet() { Stop(); }
  void Stop() {
    if (server_) server_->Stop(Duration(0));
  }
  bool up() const { return server_ != nullptr; }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  std::shared_ptr<CometPeer> peer() {  // of the newest stream
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [this] { return peer_ != nullptr; });
    return peer_;
  }

  bool refuse = false;  // set before a stream is opened
  bool echo = false;
  std::function<bool(const std::string&)> at_once;
  int wait_for = 0;  // so many OnMessage must be under way before any returns; then they answer

  void AwaitInside(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return inside_ >= count; });
  }

 private:
  std::shared_ptr<CometPeer> Accept(std::shared_ptr<StreamHandle> handle) {
    if (refuse) return nullptr;
    auto peer = std::make_shared<CometPeer>();
    peer->Hold(std::move(handle));
    peer->at_once = at_once;
    if (echo) peer->on_text = [p = peer.get()](const std::string& text) { p->Say(text); };
    if (wait_for > 0) {
      peer->on_text = [this, p = peer.get()](const std::string& text) {
        {
          std::lock_guard lock(mutex_);
          ++inside_;
          changed_.notify_all();
        }
        AwaitInside(wait_for);
        p->Say(text);
      };
    }
    std::lock_guard lock(mutex_);
    peer_ = peer;
    changed_.notify_all();
    return peer;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  std::shared_ptr<CometPeer> peer_;
  std::shared_ptr<grpc::Service> service_;
  std::unique_ptr<Server> server_;
};

inline std::shared_ptr<JobPeer> Open(const std::string& address) {
  auto peer = std::make_shared<JobPeer>();
  peer->Hold(OpenPush(MakeChannel(address), peer));
  return peer;
}

}  // namespace encke::rpc
