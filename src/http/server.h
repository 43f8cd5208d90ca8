#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "http/server_request.h"

namespace pgrevive::http {

struct ServerResponse {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<Header> headers;
  // The answer does not end: `body` is its beginning, and what is published later follows.
  bool stream = false;
  // Set where the answer takes longer to find than a blink: it is called on another thread, and
  // what it returns is sent instead of all the others. May not throw.
  std::function<ServerResponse()> later;
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // an IP address
  int port = 0;                       // 0: any that is free
  // At a time; the next one is answered with 503. A quarter is left for others than streams.
  std::size_t connections = 128;
  std::size_t jobs = 4;           // `later`s at a time, waiting ones included; the same
  std::chrono::seconds idle{20};  // until a whole request has to have come, or an answer has gone
  RequestLimits limits;
  // How it is told what the server itself refuses, or a `later` that threw; plain text where nobody
  // says it. Called on the thread of run() and on those of jobs. May not throw.
  std::function<ServerResponse(int status, const std::string& reason)> refusal;
};

// A small HTTP/1.1 server, made for many who listen to one stream of events: one thread and poll(2)
// serve all connections, so that one more costs a buffer and not a thread.
class Server {
 public:
  // Called on the thread of run(). May not throw.
  using Handler = std::function<ServerResponse(const ServerRequest&)>;

  // Listens from here on. Throws Error{busy} where the port is taken.
  Server(ServerOptions options, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;

  // Serves until asked to stop.
  void run(const std::stop_token& stop);

  // Sends `text` to everyone who listens to a stream. Each text has to stand for itself: who has
  // not taken the last one yet gets only the newest of those that came meanwhile, so that nobody
  // who is slow costs memory. Any thread may call it.
  void publish(std::string text);

  // How many listen to the stream. Any thread may call it.
  std::size_t listeners() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace pgrevive::http
