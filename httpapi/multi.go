package httpapi

func multiRoutes() []route { return nil }
