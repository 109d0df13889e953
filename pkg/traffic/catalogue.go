package traffic

import "strconv"

// page is one of the shop's pages.
type page struct {
	name, path, title string
}

// product is one that the shop sells.
type product struct {
	page       page
	cents      int64
	properties []byte // of product_viewed
}

var (
	home       = page{"Home", "/", "Home - Shop"}
	account    = page{"Login", "/login", "Login - Shop"}
	newsletter = page{"Newsletter", "/newsletter", "Newsletter - Shop"}
	checkout   = page{"Cart", "/cart", "Cart - Shop"}
)

var categories = [...]string{"shoes", "jackets", "coffee", "bags", "Küche & Bad"}

// products are the same in every shop: nothing depends on which they are.
var products = func() (list [60]product) {
	for i := range list {
		id := "sku-" + strconv.Itoa(1001+i)
		cents := int64(990 + (i*i*7919)%18000)
		list[i].page = page{"Product", "/p/" + id, "Product - Shop"}
		list[i].cents = cents
		b := append([]byte(`{"product_id":"`), id...)
		b = append(b, `","category":"`...)
		b = append(b, categories[i%len(categories)]...)
		b = append(b, `","price":`...)
		list[i].properties = append(appendCents(b, cents), '}')
	}
	return list
}()

var (
	locales  = [...]string{"en-US", "en-GB", "de-DE", "fr-FR"}
	versions = [...]string{"5.2.0", "5.2.1", "5.3.0"}
	agents   = [...]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0",
		"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
		"Mozilla/5.0 (Android 16; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0",
	}
)

// unusable are user IDs that careless callers pass.
var unusable = [...]string{"undefined", "null", "someone@example.com"}
