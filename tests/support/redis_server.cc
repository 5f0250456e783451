#include "support/redis_server.h"

#include <cassert>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace encke::test {

namespace {

std::uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  [[maybe_unused]] const int bound =
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  assert(bound == 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  close(fd);
  return ntohs(address.sin_port);
}

[[noreturn]] void BecomeRedis(const std::vector<std::string>& arguments, const std::string& log) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(out, 1);
  dup2(out, 2);
  std::vector<char*> raw;
  for (const std::string& argument : arguments)
    raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  execvp(raw[0], raw.data());
  _exit(127);
}

}  // namespace

RedisServer::RedisServer(const Options& options) : options_(options), port_(FreePort()) {
  char name[] = "/tmp/encke-redis-XXXXXX";
  const char* made = mkdtemp(name);
  assert(made != nullptr);
  folder_ = made;
  Start();
}

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void RedisServer::Start() {
  assert(pid_ < 0);
  std::vector<std::string> arguments = {"redis-server",
                                        "--port",
                                        std::to_string(port_),
                                        "--bind",
                                        "127.0.0.1",
                                        "--dir",
                                        folder_,
                                        "--save",
                                        "",
                                        "--appendonly",
                                        options_.append_only ? "yes" : "no",
                                        "--appendfsync",
                                        "always"};
  if (!options_.password.empty()) {
    arguments.insert(arguments.end(), {"--requirepass", options_.password});
  }
  pid_ = fork();
  assert(pid_ >= 0);
  if (pid_ == 0) BecomeRedis(arguments, folder_ + "/log");
  for (int i = 0; i < 1000 && !Answers(); ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      std::fprintf(stderr, "redis-server ended at once: see %s/log\n", folder_.c_str());
      std::abort();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void RedisServer::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::WipeData() {
  assert(pid_ < 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    std::filesystem::remove_all(entry.path());
}

void RedisServer::Freeze() { kill(pid_, SIGSTOP); }
void RedisServer::Thaw() { kill(pid_, SIGCONT); }

bool RedisServer::Answers() const {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bool answered = false;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    char reply[64] = {};
    const bool asked = send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6;
    answered = asked && recv(fd, reply, sizeof(reply), 0) > 0 &&
               (reply[0] == '+' || std::string(reply).rfind("-NOAUTH", 0) == 0);
  }
  close(fd);
  return answered;
}

}  // namespace encke::test
