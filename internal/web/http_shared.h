#pragma once
// HttpShared: what the threads of one HttpServer have in common.  Mailbox: the way into a loop.
//
// Owner    HttpServer::Impl owns HttpShared; loops borrow it.  A Mailbox is kept alive by its loop
//          and by every Responder, so that a late answer finds a closed box instead of nothing.
// Thread   HttpShared: written before Start, then read by any.  Mailbox: any.
// Limit    Mailbox: one answer per open connection; sockets bounded by connections_max.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/threads.h"
#include "web/http_server.h"

struct ev_loop;
struct ev_async;

namespace encke::web {

struct HttpShared {
  struct Row {
    std::string method;
    std::string path;
    HttpHandler handler;
  };

  HttpOptions options;
  std::vector<Row> routes;
  std::vector<Row> prefixes;  // any method
  HttpHandler fallback;
  HttpCounts counts;
  Gauge refused_open;  // connections being told 503

  const HttpHandler& Find(std::string_view method, std::string_view path) const {
    for (const Row& row : routes) {
      if (row.path == path && row.method == method) return row.handler;
    }
    for (const Row& row : prefixes) {
      if (path.starts_with(row.path)) return row.handler;
    }
    return fallback;
  }
};

struct Answer {
  std::uint64_t connection = 0;
  HttpReply reply;
};

struct NewSocket {
  int fd = -1;
  std::string peer_ip;
  bool refused = false;  // past connections_max: tell it so
};

class Mailbox {
 public:
  struct Post {
    std::vector<Answer> answers;
    std::vector<NewSocket> sockets;
    bool stop = false;
    bool empty() const { return answers.empty() && sockets.empty() && !stop; }
  };

  void Open(struct ev_loop* loop, struct ev_async* bell);  // on the loop's thread
  void Close();  // whatever comes later is thrown away; sockets that wait are closed

  // Each wakes the loop when the box was empty and somebody else than the loop's own thread puts:
  // a loop empties its box before it waits.  False: closed.
  bool Put(Answer answer);
  bool Put(NewSocket socket);
  bool PutStop();
  Post TakeAll();

 private:
  struct State {
    struct ev_loop* loop = nullptr;
    struct ev_async* bell = nullptr;
    std::thread::id thread;
    bool shut = false;
    Post post;
  };
  template <class F>
  bool Add(F&& add);

  Guarded<State> state_;
};

// Answers one request once.
struct Responder::Impl {
  Impl(std::shared_ptr<Mailbox> to, std::uint64_t id) : mailbox(std::move(to)), connection(id) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::shared_ptr<Mailbox> mailbox;
  std::uint64_t connection;
  std::atomic<bool> sent{false};
};

}  // namespace encke::web
