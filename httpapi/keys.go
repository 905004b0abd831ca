package httpapi

func keyRoutes() []route { return nil }
