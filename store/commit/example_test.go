package commit_test

import (
	"context"
	"fmt"

	"github.com/sixdigit/sixdigit/store/commit"
)

func Example() {
	total := 0 // stands for a database
	q := commit.New(func(batch []int, out []commit.Result[int]) error {
		for i, n := range batch {
			total += n
			out[i].Value = total
		}
		return nil // here a database would commit
	}, commit.Options{})
	defer q.Close()
	for _, n := range []int{1, 2, 3} {
		sum, err := q.Submit(context.Background(), n)
		fmt.Println(sum, err)
	}
	// Output:
	// 1 <nil>
	// 3 <nil>
	// 6 <nil>
}
