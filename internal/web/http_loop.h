#pragma once
// HttpLoop: one thread, one libev loop, one libwebsockets context, and its connections.
//
// libwebsockets keeps the sockets: it waits for what can be read and written, and closes.  Its
// callbacks only note what happened; the work is done in one place, just before the loop waits
// again, and every reply that became ready until then leaves in one write per connection.  Its role
// for raw files is used: the HTTP role of 4.1.6 cannot answer later while more requests are coming,
// and the one for raw sockets closes on a client that has only ended its own half (see
// internal/README.md, Decisions).
//
// Owner    HttpServer::Impl.
// Thread   its own, except Make, Stop, the destructor and the Mailbox.
// Limit    options.connections_max over all loops, plus kRefusedMax being told 503.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "web/http_connection.h"
#include "web/http_shared.h"

struct lws;
struct lws_context;
struct lws_vhost;

namespace encke::web {

class HttpLoop {
 public:
  static Result<std::unique_ptr<HttpLoop>> Make(HttpShared& shared);
  ~HttpLoop();  // Stop and join
  HttpLoop(const HttpLoop&) = delete;
  HttpLoop& operator=(const HttpLoop&) = delete;

  Mailbox& mailbox() { return *mailbox_; }
  void Start();
  void AskToStop() { mailbox_->PutStop(); }
  void Join();

  // From the libwebsockets callback.
  bool OnReadable(std::uint64_t id);  // false: close it
  void OnWriteable(std::uint64_t id) { Touch(id); }
  void OnClose(std::uint64_t id);
  // From libev.
  void Work();   // before every wait
  void Sweep();  // every kSweepSeconds

 private:
  struct Watchers;
  explicit HttpLoop(HttpShared& shared);
  Status Init();
  void Run();
  void Adopt(NewSocket socket);
  void Touch(std::uint64_t id);
  void Advance(std::uint64_t id);
  void Deliver(Answer& answer);
  bool Flush(HttpConnection& connection);
  void SettleDirty();
  void Settle(HttpConnection& connection);
  void Kill(HttpConnection& connection);
  void BeginStop();
  void EndWhenDone();
  void RefreshDate();

  HttpShared& shared_;
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::unique_ptr<Watchers> watchers_;
  struct ev_loop* loop_ = nullptr;
  lws_context* context_ = nullptr;
  lws_vhost* vhost_ = nullptr;
  std::thread thread_;

  std::unordered_map<std::uint64_t, std::unique_ptr<HttpConnection>> connections_;
  std::vector<std::uint64_t> touched_;  // something happened: look for a request
  std::vector<std::uint64_t> dirty_;    // write, close, read on
  std::uint64_t next_id_ = 1;
  std::vector<char> read_;  // kReadBytes
  std::string date_;
  std::int64_t date_second_ = 0;
  bool stopping_ = false;
  std::int64_t stop_deadline_ms_ = 0;
};

}  // namespace encke::web
