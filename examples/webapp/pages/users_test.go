package pages_test

import (
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/examples/webapp/pages"
)

func TestReadUsersSaysWhatIsWrongAndWhere(t *testing.T) {
	hash := hashOf(t, "x")
	for name, tt := range map[string]struct{ text, want string }{
		"no hash":              {"# us\n\nalice\n", "line 3: after the name and a colon there is no bcrypt hash"},
		"another hash":         {"alice:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n", "line 1: after the name and a colon there is no bcrypt hash"},
		"a hash that is cut":   {"alice:" + hash[:59], "line 1: after the name and a colon there is no bcrypt hash"},
		"a hash that goes on":  {"alice:" + hash + "x", "line 1: after the name and a colon there is no bcrypt hash"},
		"no name":              {":" + hash, "line 1: the name is not"},
		"a name with a tab":    {"al\tice:" + hash, "line 1: the name is not"},
		"a name not of UTF-8":  {"al\xffice:" + hash, "line 1: the name is not"},
		"a name that is long":  {strings.Repeat("a", 1025) + ":" + hash, "line 1: the name is not 1 to 1024 bytes"},
		"the same name":        {"alice:" + hash + "\nbob:" + hash + "\nalice:" + hash, "line 3: the user is there twice"},
		"another role":         {"alice:" + hash + ":admin", "line 1: after the hash and a colon there is something other than operator"},
		"a line that is long":  {"alice:" + hash + "\n" + strings.Repeat("x", 1<<17), "after line 1: "},
		"nobody":               {"# nobody\n", "there is no user"},
		"nothing":              {"", "there is no user"},
		"a hash with rounds 3": {"alice:" + strings.Replace(hash, "$04$", "$03$", 1), "line 1: after the name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pages.ReadUsers(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), hash[7:20]) || strings.Contains(err.Error(), "0DPi") {
				t.Errorf("%v has the hash", err)
			}
		})
	}
}

func TestCheckKnowsUsersByNameAndPassword(t *testing.T) {
	long := strings.Repeat("x", 72)
	text := "empty:" + hashOf(t, "") + "\nalice:" + hashOf(t, "ecila") + "\r\n  zoë:" + hashOf(t, long) + ":operator\n"
	users, err := pages.ReadUsers(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, password string
		want           bool
	}{
		{"alice", "ecila", true},
		{"alice", "", false},
		{"alice", "Ecila", false},
		{"Alice", "ecila", false},
		{"mallory", "ecila", false},
		{"", "", false},
		{"zoë", long, true},
		{"zoë", long + "x", false}, // bcrypt would not see the difference
		{"mallory", long + "x", false},
		{"empty", "", true},
		{"empty", long + "x", false},
	} {
		if got := users.Check(tt.name, tt.password); got != tt.want {
			t.Errorf("Check(%q, %q) is %t", tt.name, tt.password, got)
		}
	}
	if users.IsOperator("alice") || !users.IsOperator("zoë") || users.IsOperator("mallory") {
		t.Error("another one is the operator")
	}
}

func TestDemoUsersAreAUserAndAnOperator(t *testing.T) {
	users := pages.DemoUsers()
	if !users.Check("alice", "in-wonderland") || !users.Check("olga", "keeps-the-lights-on") {
		t.Error("a password is another one than", pages.DemoPasswords)
	}
	if users.IsOperator("alice") || !users.IsOperator("olga") {
		t.Error("the operator is not olga")
	}
}
