#pragma once
// HttpShared: what the threads of one HttpServer have in common.  Mailbox: the way into a loop.
//
// Owner    HttpServer::Impl owns HttpShared; loops borrow it.  A Mailbox is kept alive by its loop
//          and by every Responder, so that a late answer finds a closed box instead of nothing.
// Thread   HttpShared: written before Start, then read by any.  Mailbox: any.
// Limit    Mailbox: one answer per request under way; sockets bounded by connections_max.

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
    Together together = Together::kNo;
  };

  HttpOptions options;
  std::vector<Row> routes;
  std::vector<Row> prefixes;  // any method
  Row fallback;
  Row bad_path;  // an escape is broken
  HttpCounts counts;
  Gauge refused_open;  // connections being told 503

  const Row& Find(std::string_view method, std::string_view path_as_sent) const;
};

struct Answer {
  std::uint64_t connection = 0;
  std::uint64_t number = 0;  // of the request, on its connection
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
  Impl(std::shared_ptr<Mailbox> to, std::uint64_t id, std::uint64_t request)
      : mailbox(std::move(to)), connection(id), number(request) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::shared_ptr<Mailbox> mailbox;
  std::uint64_t connection;
  std::uint64_t number;
  std::atomic<bool> sent{false};
};

}  // namespace encke::web
