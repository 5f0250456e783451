#include "web/http_loop.h"

#include <cassert>
#include <cerrno>
#include <string>
#include <utility>

#include <ev.h>
#include <libwebsockets.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"

namespace encke::web {
namespace {

constexpr double kSweepSeconds = 0.5;
constexpr std::int64_t kLingerMs = 2000;        // for the client to close after the last reply
constexpr std::int64_t kStopMs = 5000;          // for answers under way
constexpr std::size_t kOutHigh = 256UL * 1024;  // start no more requests before this has left
constexpr int kRoundsMax = 256;                 // then sockets get their turn
constexpr std::size_t kReadBytes = 64UL * 1024;

HttpLoop& LoopOf(lws* wsi) {
  return *static_cast<HttpLoop*>(lws_context_user(lws_get_context(wsi)));
}

std::uint64_t IdOf(lws* wsi) {
  return reinterpret_cast<std::uintptr_t>(lws_get_opaque_user_data(wsi));
}

int OnEvent(lws* wsi, lws_callback_reasons reason, void*, void*, std::size_t) {
  switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
      return LoopOf(wsi).OnReadable(IdOf(wsi)) ? 0 : -1;
    case LWS_CALLBACK_RAW_WRITEABLE_FILE:
      LoopOf(wsi).OnWriteable(IdOf(wsi));
      break;
    case LWS_CALLBACK_RAW_CLOSE_FILE:
      LoopOf(wsi).OnClose(IdOf(wsi));
      break;
    default:
      break;
  }
  return 0;
}

constexpr const char* kProtocol = "http";

constexpr lws_protocols kProtocols[] = {{kProtocol, OnEvent, 0, 0, 0, nullptr, 0},
                                        {nullptr, nullptr, 0, 0, 0, nullptr, 0}};

// Past ten million files, which is what "unlimited" containers say, libwebsockets takes the number
// for an error and holds 2560.  Told one by us it obeys, but looks connections up one by one.
bool FileLimitConfuses() {
  rlimit files{};
  return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 10'000'000;
}

void OnLwsLog(int, const char* line) {
  static log::RateLimit limit(1);
  std::string_view text = line;
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  log::WarnSome(limit, "http.lws {}", text);
}

}  // namespace

struct HttpLoop::Watchers {
  ev_async bell;
  ev_prepare before_wait;
  ev_timer sweep;
};

HttpLoop::HttpLoop(HttpShared& shared)
    : shared_(shared), watchers_(new Watchers), read_(kReadBytes) {}

HttpLoop::~HttpLoop() {
  AskToStop();
  Join();
  mailbox_->Close();
  // What is left is closed here; its OnClose still needs connections_.
  if (context_ != nullptr) lws_context_destroy(context_);
  if (loop_ != nullptr) ev_loop_destroy(loop_);
}

Result<std::unique_ptr<HttpLoop>> HttpLoop::Make(HttpShared& shared) {
  std::unique_ptr<HttpLoop> loop(new HttpLoop(shared));
  if (const Status made = loop->Init(); !made) return made.error();
  return loop;
}

Status HttpLoop::Init() {
  lws_set_log_level(LLL_ERR, OnLwsLog);
  loop_ = ev_loop_new(EVBACKEND_EPOLL);
  if (loop_ == nullptr) return Error{Errc::kUnavailable, "http: libev has no epoll here"};
  // A loop of ours instead of one that libwebsockets makes: its own would take over SIGINT.
  void* loops[] = {loop_};
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.protocols = kProtocols;
  info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  info.foreign_loops = loops;
  if (FileLimitConfuses()) {
    info.fd_limit_per_thread = static_cast<unsigned>(shared_.options.connections_max + 1024);
  }
  info.user = this;
  context_ = lws_create_context(&info);
  if (context_ != nullptr) vhost_ = lws_create_vhost(context_, &info);
  if (vhost_ == nullptr) {
    return Error{
        Errc::kUnavailable,
        "http: libwebsockets does not start; is the package libwebsockets-evlib-ev there?"};
  }
  return Ok{};
}

void HttpLoop::Start() {
  thread_ = std::thread([this] { Run(); });
}

void HttpLoop::Join() {
  if (thread_.joinable()) thread_.join();
}

void HttpLoop::Run() {
  NameThread("http");
  // The bell only wakes the loop: Work looks into the mailbox before every wait.
  ev_async_init(&watchers_->bell, [](struct ev_loop*, ev_async*, int) {});
  ev_prepare_init(&watchers_->before_wait, [](struct ev_loop*, ev_prepare* watcher, int) {
    static_cast<HttpLoop*>(watcher->data)->Work();
  });
  ev_timer_init(
      &watchers_->sweep,
      [](struct ev_loop*, ev_timer* watcher, int) {
        static_cast<HttpLoop*>(watcher->data)->Sweep();
      },
      kSweepSeconds, kSweepSeconds);
  watchers_->before_wait.data = this;
  watchers_->sweep.data = this;
  ev_async_start(loop_, &watchers_->bell);
  ev_prepare_start(loop_, &watchers_->before_wait);
  ev_timer_start(loop_, &watchers_->sweep);
  mailbox_->Open(loop_, &watchers_->bell);
  RefreshDate();
  ev_run(loop_, 0);
  mailbox_->Close();
  ev_timer_stop(loop_, &watchers_->sweep);
  ev_prepare_stop(loop_, &watchers_->before_wait);
  ev_async_stop(loop_, &watchers_->bell);
}

void HttpLoop::Work() {
  RefreshDate();
  for (int round = 0; round < kRoundsMax; ++round) {
    Mailbox::Post post = mailbox_->TakeAll();
    if (post.empty() && touched_.empty()) break;
    for (NewSocket& socket : post.sockets) {
      Adopt(std::move(socket));
    }
    for (Answer& answer : post.answers) {
      Deliver(answer);
    }
    if (post.stop) BeginStop();
    for (const std::uint64_t id : std::exchange(touched_, {})) {
      Advance(id);
    }
  }
  SettleDirty();
  if (!touched_.empty()) ev_async_send(loop_, &watchers_->bell);
  if (stopping_) EndWhenDone();
}

void HttpLoop::Adopt(NewSocket socket) {
  if (stopping_) {
    close(socket.fd);
    return;
  }
  const std::uint64_t id = next_id_++;
  auto made = std::make_unique<HttpConnection>(id, std::move(socket.peer_ip), shared_);
  HttpConnection& connection = *made;
  connection.fd = socket.fd;
  connection.counted = !socket.refused;
  connection.deadline_ms = MonotonicMs() + shared_.options.idle_timeout.count();
  connections_.emplace(id, std::move(made));
  lws_adopt_desc_t adopt{};
  adopt.vh = vhost_;
  adopt.type = LWS_ADOPT_RAW_FILE_DESC;
  adopt.fd.filefd = socket.fd;
  adopt.vh_prot_name = kProtocol;
  adopt.opaque = reinterpret_cast<void*>(static_cast<std::uintptr_t>(id));
  connection.wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
  if (connection.wsi == nullptr) {  // libwebsockets has closed the socket
    shared_.counts.accept_errors.Add();
    OnClose(id);
    return;
  }
  if (!socket.refused) return;
  connection.Refuse(503, date_);
  Touch(id);
}

bool HttpLoop::OnReadable(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return true;
  HttpConnection& connection = *found->second;
  const ssize_t got = recv(connection.fd, read_.data(), read_.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) connection.ended = true;  // it may have shut its half only
  if (connection.idle() && connection.fresh()) {
    connection.deadline_ms = MonotonicMs() + shared_.options.idle_timeout.count();
  }
  connection.Add({read_.data(), static_cast<std::size_t>(got)});
  Touch(id);
  return true;
}

void HttpLoop::OnClose(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  (found->second->counted ? shared_.counts.open : shared_.refused_open).Add(-1);
  connections_.erase(found);
}

void HttpLoop::Touch(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || std::exchange(found->second->touched, true)) return;
  touched_.push_back(id);
}

// Starts what may be started, if the client takes its replies.
void HttpLoop::Advance(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  HttpConnection& connection = *found->second;
  connection.touched = false;
  connection.choked = connection.stuck || connection.output().size() > kOutHigh;
  while (!connection.choked && !stopping_) {
    auto asked = connection.Next(date_);
    if (!asked) break;
    const Responder responder(
        std::make_shared<Responder::Impl>(mailbox_, connection.id, asked->number));
    asked->row->handler(std::move(asked->request), responder);
  }
  if (!std::exchange(connection.dirty, true)) dirty_.push_back(id);
}

void HttpLoop::Deliver(Answer& answer) {
  const auto found = connections_.find(answer.connection);
  if (found == connections_.end()) return;  // the client has gone
  found->second->Answer(answer.number, std::move(answer.reply), date_);
  Touch(answer.connection);
}

void HttpLoop::SettleDirty() {
  for (const std::uint64_t id : std::exchange(dirty_, {})) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    found->second->dirty = false;
    Settle(*found->second);
  }
}

// Writes, goes on or stops reading, and closes: whatever the connection's state asks for.
void HttpLoop::Settle(HttpConnection& connection) {
  using Phase = HttpConnection::Phase;
  if (connection.has_output() && !Flush(connection)) return;
  const bool closing = connection.phase == Phase::kClosing && !connection.has_output();
  const bool quiet = connection.idle() && !connection.touched;
  if ((stopping_ || connection.ended) && (quiet || closing)) return Kill(connection);
  const bool wanted = !connection.ended && !connection.InputIsHigh();
  if (wanted != connection.reading) {
    connection.reading = wanted;
    lws_rx_flow_control(connection.wsi, wanted ? 1 : 0);
  }
  if (!closing || connection.shut) return;
  connection.shut = true;
  connection.deadline_ms = MonotonicMs() + kLingerMs;
  shutdown(connection.fd, SHUT_WR);
}

// One write for everything that is ready.  False: the connection is gone.
bool HttpLoop::Flush(HttpConnection& connection) {
  const std::string_view output = connection.output();
  const ssize_t sent =
      send(connection.fd, output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    Kill(connection);
    return false;
  }
  if (sent > 0) connection.Written(static_cast<std::size_t>(sent));
  if (!connection.stuck) {
    connection.deadline_ms = MonotonicMs() + shared_.options.idle_timeout.count();
  }
  connection.stuck = connection.has_output();
  if (connection.stuck) {
    lws_callback_on_writable(connection.wsi);
  } else if (connection.choked) {
    Touch(connection.id);  // requests were held back
  }
  return true;
}

void HttpLoop::Kill(HttpConnection& connection) {
  // Calls OnClose before it returns; `connection` is gone then.
  lws_set_timeout(connection.wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

void HttpLoop::Sweep() {
  const std::int64_t now = MonotonicMs();
  std::vector<HttpConnection*> over;
  for (const auto& [id, connection] : connections_) {
    const bool waits_for_client = connection->under_way() == 0 || connection->stuck;
    if (waits_for_client && now >= connection->deadline_ms) over.push_back(connection.get());
  }
  for (HttpConnection* connection : over) {
    Kill(*connection);
  }
}

void HttpLoop::BeginStop() {
  if (std::exchange(stopping_, true)) return;
  stop_deadline_ms_ = MonotonicMs() + kStopMs;
  std::vector<HttpConnection*> quiet;
  for (const auto& [id, connection] : connections_) {
    if (connection->idle() || connection->shut) quiet.push_back(connection.get());
    connection->TakeNoMore();
  }
  for (HttpConnection* connection : quiet) {
    Kill(*connection);
  }
}

// Ends when all are gone, or when the time is up: then whoever is left is closed without an answer.
void HttpLoop::EndWhenDone() {
  if (MonotonicMs() >= stop_deadline_ms_) {
    std::vector<HttpConnection*> left;
    for (const auto& [id, connection] : connections_) {
      left.push_back(connection.get());
    }
    for (HttpConnection* connection : left) {
      Kill(*connection);
    }
  }
  if (connections_.empty()) ev_break(loop_, EVBREAK_ALL);
}

void HttpLoop::RefreshDate() {
  const std::int64_t second = WallUs() / 1'000'000;
  if (second == date_second_) return;
  date_second_ = second;
  date_ = HttpDate(second);
}

}  // namespace encke::web
