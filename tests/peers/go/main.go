// Clients of the wire dialect, written against the protocol alone: NAME B64(name) and CHAT B64(name) B64(words), one
// line each.
//
// peer ADDRESS CLIENTS MESSAGES connects that many clients, go0, go1, …, and lets each take its name. Then it prints
// "named" and waits for a line on standard input. Each client says that many messages, and hears until somebody says
// "end". Then it prints what each of them heard, in order: "CLIENT NAME WORDS", and exits with status 0.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func encode(value string) string {
	return base64.StdEncoding.EncodeToString([]byte(value))
}

func decode(value string) string {
	decoded, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		fail("%q is not base64: %v", value, err)
	}
	return string(decoded)
}

type client struct {
	name   string
	conn   net.Conn
	reader *bufio.Reader
	heard  []string
}

// next reads one line and splits it.
func (c *client) next() []string {
	line, err := c.reader.ReadString('\n')
	if err != nil {
		fail("%s: %v", c.name, err)
	}
	return strings.Split(strings.TrimSuffix(line, "\n"), " ")
}

func (c *client) join(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		fail("%s: %v", c.name, err)
	}
	c.conn = conn
	c.reader = bufio.NewReader(conn)
	fmt.Fprintf(conn, "NAME %s\n", encode(c.name))
	answer := c.next()
	if len(answer) != 2 || answer[0] != "NAME" || decode(answer[1]) != c.name {
		fail("%s: unexpected answer %q", c.name, answer)
	}
}

func (c *client) say(messages int) {
	for number := 0; number < messages; number++ {
		words := fmt.Sprintf("%s says %d", c.name, number)
		if _, err := fmt.Fprintf(c.conn, "CHAT %s %s\n", encode(c.name), encode(words)); err != nil {
			fail("%s: %v", c.name, err)
		}
	}
}

func (c *client) hear() {
	for {
		line := c.next()
		if len(line) != 3 || line[0] != "CHAT" {
			fail("%s: unexpected line %q", c.name, line)
		}
		name, words := decode(line[1]), decode(line[2])
		c.heard = append(c.heard, fmt.Sprintf("%s %s %s", c.name, name, words))
		if words == "end" {
			return
		}
	}
}

func main() {
	if len(os.Args) != 4 {
		fail("usage: peer ADDRESS CLIENTS MESSAGES")
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fail("%v", err)
	}
	messages, err := strconv.Atoi(os.Args[3])
	if err != nil {
		fail("%v", err)
	}
	clients := make([]client, count)
	for index := range clients {
		clients[index].name = fmt.Sprintf("go%d", index)
		clients[index].join(os.Args[1])
	}
	fmt.Println("named")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		fail("%v", err)
	}
	var all sync.WaitGroup
	for index := range clients {
		c := &clients[index]
		all.Add(2)
		go func() { defer all.Done(); c.say(messages) }()
		go func() { defer all.Done(); c.hear() }()
	}
	all.Wait()
	for _, c := range clients {
		for _, line := range c.heard {
			fmt.Println(line)
		}
		c.conn.Close()
	}
}
