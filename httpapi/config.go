package httpapi

func configRoutes() []route { return nil }
